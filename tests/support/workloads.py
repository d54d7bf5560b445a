"""The pods of rendered manifests, and their environment."""

from collections.abc import Iterator
from typing import Any, NamedTuple

Object = dict[str, Any]


class Workload(NamedTuple):
    """A kind of pod."""

    kind: str
    name: str
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: Object

    @property
    def component(self) -> str:
        """Its role, or its program."""
        return self.labels.get("app.kubernetes.io/component", self.name)

    @property
    def container(self) -> Object:
        """The only container that a pod of ours has."""
        container: Object
        [container] = self.spec["containers"]
        return container


def of_kind(objects: list[Object], *kinds: str) -> Iterator[Object]:
    return (each for each in objects if each["kind"] in kinds)


def workloads(objects: list[Object]) -> Iterator[Workload]:
    for each in of_kind(objects, "Deployment", "StatefulSet", "Job", "CronJob"):
        holder = each["spec"]["jobTemplate"] if each["kind"] == "CronJob" else each
        pod = holder["spec"]["template"]
        told = pod["metadata"]
        notes = told.get("annotations") or {}
        yield Workload(each["kind"], each["metadata"]["name"], told["labels"], notes, pod["spec"])


def environment(each: Workload, objects: list[Object]) -> dict[str, Any]:
    """Return a container's environment: a text, or a reference to a secret's key."""
    maps = {
        found["metadata"]["name"]: found.get("data") or {}
        for found in of_kind(objects, "ConfigMap")
    }
    env: dict[str, Any] = {}
    for source in each.container.get("envFrom", []):
        env |= maps[source["configMapRef"]["name"]]
    for variable in each.container.get("env", []):
        reference = variable.get("valueFrom", {}).get("secretKeyRef")
        env[variable["name"]] = variable.get("value", reference)
    return env


def served(objects: list[Object]) -> Iterator[str]:
    """Return each host and port of a Service."""
    for each in of_kind(objects, "Service"):
        yield from (f"{each['metadata']['name']}:{port['port']}" for port in each["spec"]["ports"])
