"""One way to break the manifests for each complaint, so that every check is seen to go red."""

from collections.abc import Callable
from typing import Any

from tests.support.workloads import Object, of_kind, workloads

Objects = list[Object]


def one(objects: Objects, kind: str, name: str = "selfheal-worker") -> Object:
    [found] = [each for each in of_kind(objects, kind) if each["metadata"]["name"] == name]
    return found


def pod(objects: Objects, name: str = "selfheal-worker") -> Object:
    return next(each.spec for each in workloads(objects) if each.name == name)


def _box(objects: Objects, name: str = "selfheal-worker") -> Object:
    return next(each.container for each in workloads(objects) if each.name == name)


def _spec(objects: Objects, kind: str, name: str = "selfheal-worker") -> Any:
    return one(objects, kind, name)["spec"]


def _secured(objects: Objects) -> Any:
    return _box(objects)["securityContext"]


def _without(name: str) -> Callable[[Objects], None]:
    def drop(objects: Objects) -> None:
        objects[:] = [each for each in objects if each["metadata"]["name"] != name]

    return drop


def _for_all(policy: str) -> Callable[[Objects], None]:
    return lambda objects: _spec(objects, "NetworkPolicy", policy).update(podSelector={})


def _let_the_worker_judge(objects: Objects) -> None:
    _for_all("selfheal-callers")(objects)
    del _spec(objects, "NetworkPolicy", "selfheal-evaluator")["ingress"][0]["from"]


def _misdirect(objects: Objects) -> None:
    _spec(objects, "Service")["ports"][0].update(targetPort="htp")


def _misspread(objects: Objects) -> None:
    pod(objects)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].clear()


def _scale_another(objects: Objects) -> None:
    _spec(objects, "HorizontalPodAutoscaler")["scaleTargetRef"].update(name="selfheal-runner")


def _hurry(objects: Objects) -> None:
    _box(objects)["lifecycle"]["preStop"]["exec"].update(command=[])


_DATABASE = {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"key": "DATABASE_URL"}}}
_PLAIN = {"name": "SELFHEAL_ROLE_KEY", "value": "hunter2"}
_MISSPELT = {"name": "SELFHEAL_MODLE", "value": "x"}
BREAKAGES: dict[str, Callable[[Objects], Any]] = {
    "runs as root": lambda o: _secured(o).update(runAsUser=0),
    "has no seccomp profile": lambda o: pod(o)["securityContext"].pop("seccompProfile"),
    "may gain privileges": lambda o: _secured(o).update(privileged=True),
    "writes its root": lambda o: _secured(o).pop("readOnlyRootFilesystem"),
    "has capabilities": lambda o: _secured(o).pop("capabilities"),
    "has a token": lambda o: pod(o).pop("automountServiceAccountToken"),
    "gets variables of services": lambda o: pod(o).pop("enableServiceLinks"),
    "shares the node": lambda o: pod(o).update(hostNetwork=True),
    "init containers": lambda o: pod(o).update(initContainers=[{}]),
    "no limits": lambda o: _box(o)["resources"].pop("limits"),
    "without a version": lambda o: _box(o).update(image="selfheal:latest"),
    "mounts other volumes": lambda o: _box(o)["volumeMounts"].pop(),
    "serves without a port": lambda o: _box(o).pop("ports"),
    "no readinessProbe": lambda o: _box(o).pop("readinessProbe"),
    "no livenessProbe": lambda o: _box(o)["livenessProbe"]["httpGet"].update(port="htp"),
    "before it has drained": lambda o: pod(o).update(terminationGracePeriodSeconds=30),
    "still sent callers": _hurry,
    "listens on another port": lambda o: _box(o)["args"].__setitem__(-1, "8000"),
    "which nothing reads": lambda o: _box(o)["env"].append(_MISSPELT),
    "in plain text": lambda o: _box(o)["env"].append(_PLAIN),
    "other secrets": lambda o: _box(o, "selfheal-evaluator")["env"].append(_DATABASE),
    "has no SELFHEAL_WORKER_URL": lambda o: _box(o, "selfheal-runner")["envFrom"].pop(),
    "has a scheduler": lambda o: _box(o, "selfheal-runner")["envFrom"].pop(0),
    "has nobody behind it": lambda o: _spec(o, "Service")["selector"].update(x="y"),
    "or another port": _misdirect,
    "is spread by": _misspread,
    "scaled twice": _scale_another,
    "blocks a drain": lambda o: _spec(o, "PodDisruptionBudget").update(maxUnavailable=0),
    "twice at once": lambda o: _spec(o, "CronJob", "selfheal-optimizer").pop("concurrencyPolicy"),
    "names a namespace": lambda o: o[0]["metadata"].update(namespace="default"),
    "is open": _without("selfheal-default-deny"),
    r"migrate reaches ports \[53, 443, 5432\]": _for_all("selfheal-model"),
    r"evaluator reaches ports \[53, 443, 5432\]": _for_all("selfheal-postgres"),
    "manager cannot reach selfheal-evaluator": _without("selfheal-callers"),
    "worker reaches selfheal-evaluator": _let_the_worker_judge,
    "where it listens for a scrape": lambda o: _box(o)["ports"].pop(),
    "cannot be scraped": _without("selfheal-metrics"),
}
