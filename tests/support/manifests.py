"""What must hold of Kubernetes manifests that a schema cannot say. Each check yields complaints."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from tests.support.deployment_settings import KNOWN, SECRETS
from tests.support.network_reachability import Policies
from tests.support.workloads import Object, environment, of_kind, served, workloads

Complaints = Iterator[str]
_DRAIN_SECONDS, _PRE_STOP = 30, 5
_IMAGE = re.compile(r".+(@sha256:[0-9a-f]{64}|:(?!latest$)[\w.-]+)")
_JUDGES_OWN = {"SELFHEAL_JUDGE_API_KEY", "SELFHEAL_ROLE_KEY"}
CALLERS = ("manager", "runner", "optimizer")
CALLED = ("worker", "evaluator")


def hardened(objects: list[Object]) -> Complaints:
    for each in workloads(objects):
        pod, box = each.spec.get("securityContext", {}), each.container.get("securityContext", {})
        overruled = {"runAsUser", "runAsNonRoot"} & box.keys()
        shared = {"hostNetwork", "hostPID", "hostIPC"} & each.spec.keys()
        mounted = any("hostPath" in volume for volume in each.spec["volumes"])
        token, links = (
            each.spec.get(name) for name in ("automountServiceAccountToken", "enableServiceLinks")
        )
        fine = {
            "runs as root": pod.get("runAsNonRoot") and pod.get("runAsUser") and not overruled,
            "has no seccomp profile": pod.get("seccompProfile") == {"type": "RuntimeDefault"},
            "may gain privileges": box.get("allowPrivilegeEscalation") is False
            and not box.get("privileged"),
            "writes its root file system": box.get("readOnlyRootFilesystem") is True,
            "has capabilities": box.get("capabilities") == {"drop": ["ALL"]},
            "has a token of the cluster": token is False,
            "gets variables of services": links is False,
            "shares the node": not shared and not mounted,
            "has init containers, which nothing here looks at": "initContainers" not in each.spec,
        }
        yield from (f"{each.name} {wrong}" for wrong, ok in fine.items() if not ok)


def sized_and_pinned(objects: list[Object]) -> Complaints:
    for each in workloads(objects):
        resources = each.container.get("resources", {})
        for part in ("requests", "limits"):
            if resources.get(part, {}).keys() != {"cpu", "memory"}:
                yield f"{each.name} has no {part} of CPU and memory"
        if not _IMAGE.fullmatch(each.container["image"]):
            yield f"{each.name} has an image without a version: {each.container['image']}"
        mounts = {mount["name"] for mount in each.container["volumeMounts"]}
        claims = {"data"} if each.kind == "StatefulSet" else set()
        if mounts != {volume["name"] for volume in each.spec["volumes"]} | claims:
            yield f"{each.name} mounts other volumes than it has"


def probed_and_drained(objects: list[Object]) -> Complaints:
    for each in workloads(objects):
        ports = {port["name"]: port["containerPort"] for port in each.container.get("ports", [])}
        if (each.kind in {"Deployment", "StatefulSet"}) != bool(ports):
            yield f"{each.name} serves without a port, or has one and does not serve"
        for probe in ("startupProbe", "livenessProbe", "readinessProbe") if ports else ():
            asked = each.container.get(probe, {})
            port = (asked.get("httpGet") or asked.get("tcpSocket") or {}).get("port")
            if not asked or port not in {None, *ports}:
                yield f"{each.name} has no {probe}, or one at a port that is not there"
        if each.kind != "Deployment":
            continue
        if each.spec["terminationGracePeriodSeconds"] <= _DRAIN_SECONDS + _PRE_STOP:
            yield f"{each.name} is killed before it has drained"
        if each.container["lifecycle"]["preStop"]["exec"]["command"] != ["sleep", str(_PRE_STOP)]:
            yield f"{each.name} stops while it is still sent callers"
        args = each.container["args"]
        if args[args.index("--port") + 1] != str(ports.get("http")):
            yield f"{each.name} listens on another port than it says"


def configured(objects: list[Object]) -> Complaints:
    for each in workloads(objects):
        env = environment(each, objects)
        for name, value in env.items():
            if name.startswith("SELFHEAL_") and name not in KNOWN:
                yield f"{each.name} sets {name}, which nothing reads"
            if isinstance(value, str) and name in SECRETS:
                yield f"{each.name} has the secret {name} in plain text"
        keyed = {name for name, value in env.items() if isinstance(value, dict)}
        if each.component == "evaluator" and keyed != _JUDGES_OWN:
            yield f"{each.name} has other secrets than its own: {sorted(keyed)}"
        everything = "all" in each.container.get("args", [])
        if each.component in CALLERS and not everything:
            known = set(served(objects))
            for name in ("SELFHEAL_WORKER_URL", "SELFHEAL_EVALUATOR_URL"):
                if urlsplit(env.get(name, "")).netloc not in known:
                    yield f"{each.name} has no {name}, or one where nobody serves"
            if env.get("SELFHEAL_OPTIMIZE_EVERY_SECONDS") != "0":
                yield f"{each.name} has a scheduler beside the CronJob"


def connected(objects: list[Object]) -> Complaints:
    found = list(workloads(objects))
    for each in of_kind(objects, "Service"):
        name, spec = each["metadata"]["name"], each["spec"]
        behind = [one for one in found if spec["selector"].items() <= one.labels.items()]
        ports = {port["name"] for one in behind for port in one.container.get("ports", [])}
        if len(behind) != 1 or not {port["targetPort"] for port in spec["ports"]} <= ports:
            yield f"service {name} has nobody behind it, or another port"
    scalers = of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject")
    scaled = sorted(each["spec"]["scaleTargetRef"]["name"] for each in scalers)
    names = {each.name for each in found if each.kind == "Deployment"}
    if len(scaled) != len(set(scaled)) or not set(scaled) <= names:
        yield f"scaled twice, or not there: {scaled}"
    for one in found:
        for constraint in one.spec.get("topologySpreadConstraints", []):
            if constraint["labelSelector"]["matchLabels"] != one.labels:
                yield f"{one.name} is spread by others' pods"


def steady(objects: list[Object]) -> Complaints:
    labels = [each.labels.items() for each in workloads(objects)]
    for each in of_kind(objects, "PodDisruptionBudget"):
        guarded = each["spec"]["selector"]["matchLabels"].items()
        if each["spec"].get("maxUnavailable") != 1 or not any(guarded <= one for one in labels):
            yield f"budget {each['metadata']['name']} guards nobody, or blocks a drain"
    for each in of_kind(objects, "CronJob"):
        if each["spec"].get("concurrencyPolicy") != "Forbid":
            yield f"{each['metadata']['name']} may run twice at once"
    for each in objects:
        if "namespace" in each["metadata"]:
            yield f"{each['metadata']['name']} names a namespace"


def separated(objects: list[Object]) -> Complaints:
    policies = Policies(list(of_kind(objects, "NetworkPolicy")))
    ours = [each for each in workloads(objects) if each.name.startswith("selfheal-")]
    for each in ours:
        if not policies.closed(each.labels):
            yield f"{each.name} is open where no policy speaks of it"
        outside = policies.ports_outside(each.labels)
        wanted = {53}
        wanted |= {443} if each.component != "migrate" else set()
        wanted |= {5432} if each.component != "evaluator" else set()
        if outside != wanted:
            yield f"{each.name} reaches ports {sorted(outside)} outside, not {sorted(wanted)}"
        for other in ours:
            for port in other.container.get("ports", []):
                number = port["containerPort"]
                may = policies.may_reach(each.labels, other.labels, number)
                wanted_there = port["name"] == "http" and other.component in CALLED
                if may != (each.component in CALLERS and wanted_there):
                    yield f"{each.name} {'reaches' if may else 'cannot reach'} {other.name}"


def scraped(objects: list[Object]) -> Complaints:
    """Complain of what serves and cannot be scraped from the namespace of the monitoring."""
    metrics = [
        each["spec"]
        for each in of_kind(objects, "NetworkPolicy")
        if each["metadata"]["name"] == "selfheal-metrics"
    ]
    for each in workloads(objects):
        ports = {port["name"]: port["containerPort"] for port in each.container.get("ports", [])}
        if not each.name.startswith("selfheal-") or "http" not in ports:
            continue
        if ports.get("metrics") != ports["http"] + 1000:
            yield f"{each.name} does not name where it listens for a scrape"
        said = each.annotations.get("prometheus.io/port")
        if said != str(ports.get("metrics")):
            yield f"{each.name} says that it is scraped at {said}"
        chosen = [value for spec in metrics for value in spec["podSelector"]["matchExpressions"]]
        if not any(each.component in expression["values"] for expression in chosen):
            yield f"{each.name} cannot be scraped"


CHECKS: tuple[Callable[[list[Object]], Complaints], ...] = (
    hardened,
    sized_and_pinned,
    probed_and_drained,
    configured,
    connected,
    steady,
    separated,
    scraped,
)


def complaints(objects: list[Object]) -> list[str]:
    return [complaint for check in CHECKS for complaint in check(objects)]
