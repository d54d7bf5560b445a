"""The Dockerfile and the compose file, read: there is no registry to build or run them with."""

import fnmatch
import importlib.metadata
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from tests.support.deployment_settings import KNOWN, SECRETS
from tests.support.network_reachability import Labels, Networks, Policies

_ROOT = Path(__file__).parents[2]
_SERVES = {"manager": 8000, "worker": 8001, "evaluator": 8002, "runner": 8003}
_REFERENCE = re.compile(r"\$\{(?P<name>\w+):(\?[^}]+|-)\}")  # unset: compose stops, or it is empty
Instruction = tuple[str, str]


def _instructions() -> list[Instruction]:
    text = (_ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    found = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(name, rest) for name, rest in found]


def _values(name: str, instructions: list[Instruction]) -> list[str]:
    return [rest for each, rest in instructions if each == name]


def _last_stage() -> list[Instruction]:
    every = _instructions()
    starts = [place for place, (name, _) in enumerate(every) if name == "FROM"]
    return every[starts[-1] :]


def test_the_image_runs_selfheal_and_not_as_root() -> None:
    stage = _last_stage()
    assert _values("USER", stage)[-1] == "10001:10001"
    assert json.loads(_values("ENTRYPOINT", stage)[-1]) == ["tini", "--", "selfheal"]
    assert json.loads(_values("CMD", stage)[-1]) == ["serve", "--host", "0.0.0.0"]
    [health] = _values("HEALTHCHECK", stage)
    assert json.loads(health[health.index("[") :])[:2] == ["python", "-c"]
    [install] = [each for each in _values("RUN", stage) if "apt-get install" in each]
    assert {"bubblewrap", "libseccomp2", "tini"} <= set(install.split())
    assert {"/data", "/tmp"} == set(json.loads(_values("VOLUME", stage)[-1]))


def test_the_image_is_made_from_what_is_locked_and_holds_no_secret() -> None:
    every = _instructions()
    [base] = _values("ARG", every)
    assert re.fullmatch(r"PYTHON=python:3\.\d+-slim-\w+", base)
    assert all(each.startswith("${PYTHON}") for each in _values("FROM", every))
    for line in _values("RUN", every):
        for command in line.split("&&"):
            if re.search(r"\bpip\b.* install\b", command):
                assert "--require-hashes" in command or "--no-index" in command, command
                assert "--no-deps" in command, f"{command}: pip resolves extras anew"
    for line in (*_values("ENV", every), *_values("ARG", every)):
        for pair in shlex.split(line):
            name, _, _ = pair.partition("=")
            assert not re.search("KEY|TOKEN|PASSWORD|SECRET", name), name
            assert name not in SECRETS
            assert not name.startswith("SELFHEAL_") or name in KNOWN


def test_what_builds_the_package_is_in_the_lock() -> None:
    """Nothing is resolved and nothing is fetched for a build: all of it must be in the lock."""
    lock = (_ROOT / "requirements.lock").read_text(encoding="utf-8")
    needed, found = ["hatchling", "editables"], set()
    while needed:
        found.add(name := needed.pop())
        wanted = map(Requirement, importlib.metadata.requires(name) or ())
        asked = {"extra": ""}
        needed += [each.name for each in wanted if not each.marker or each.marker.evaluate(asked)]
    assert len(found) > 4
    assert [name for name in found if f"\n{name}==" not in lock] == []


def test_what_is_copied_is_there_and_not_ignored() -> None:
    lines = (_ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*", "all is ignored but what is named"
    allowed = [each.removeprefix("!") for each in patterns if each.startswith("!")]
    copied = []
    for line in _values("COPY", _instructions()):
        *sources, _ = line.split()
        if not sources[0].startswith("--from="):
            copied += [each.removeprefix("./") for each in sources]
    assert sorted(copied) == sorted(allowed)
    assert all((_ROOT / each).exists() for each in copied)
    assert not any(fnmatch.fnmatch(".env", each) for each in allowed)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((_ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return found


def test_compose_has_every_role_and_no_secret(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services.keys() == {
        *_SERVES,
        *("postgres", "migrate", "optimizer", "prometheus", "grafana"),
    }
    for name, service in services.items():
        for variable, value in service["environment"].items():
            if variable in SECRETS and variable != "DATABASE_URL":
                assert _REFERENCE.fullmatch(value), f"{name} has {variable} in plain text"
            if variable.startswith("SELFHEAL_") and name not in ("prometheus", "grafana"):
                assert variable in KNOWN, f"{name} sets {variable}, which nothing reads"
        assert (
            ":"
            not in service["environment"].get("DATABASE_URL", "://@").split("://")[1].split("@")[0]
        )
        assert re.search(r":(?!latest)[\w.-]+$", service["image"])
    assert services["evaluator"]["environment"].keys() == {
        "SELFHEAL_JUDGE_API_KEY",
        "SELFHEAL_ROLE_KEY",
        "SELFHEAL_SANDBOX",
        "SELFHEAL_MAX_CONCURRENCY",
    }


def test_compose_services_are_hardened_and_drain(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"mem_limit", "cpus"} <= service.keys(), name
        assert int(service["stop_grace_period"].removesuffix("s")) > 30, name
        assert not {"privileged", "cap_add", "network_mode", "pid"} & service.keys(), name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_compose_roles_are_found_where_they_listen(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for role, port in _SERVES.items():
        command = services[role]["command"]
        assert command == ["serve", "--role", role, "--host", "0.0.0.0", "--port", str(port)]
        assert f"127.0.0.1:{port}/health/live" in services[role]["healthcheck"]["test"][-1]
    scraped = yaml.safe_load((_ROOT / "grafana/prometheus/prometheus.yml").read_text())
    targets = scraped["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"{role}:{port + 1000}" for role, port in _SERVES.items()]
    for caller in ("manager", "runner", "optimizer"):
        environment = services[caller]["environment"]
        assert environment["SELFHEAL_WORKER_URL"] == "http://worker:8001"
        assert environment["SELFHEAL_EVALUATOR_URL"] == "http://evaluator:8002"
    for role in ("manager", "worker", "runner", "optimizer"):
        waits = services[role]["depends_on"]["migrate"]["condition"]
        assert waits == "service_completed_successfully"


def _labels(role: str) -> Labels:
    return {"app.kubernetes.io/name": "selfheal", "app.kubernetes.io/component": role}


class _Kubernetes:
    """What the NetworkPolicies let the services of the compose file connect to."""

    def __init__(self, services: set[str]) -> None:
        text = (_ROOT / "deploy/base/network.yaml").read_text(encoding="utf-8")
        self._policies = Policies(list(yaml.safe_load_all(text)))
        self.roles = services - {"postgres", "prometheus", "grafana"}

    def outside(self, role: str) -> set[int]:
        return self._policies.ports_outside(_labels(role))

    def connects(self, service: str) -> set[str]:
        if service == "prometheus":
            return {each for each in self.roles if self._scraped(each)}
        if service not in self.roles:
            return set()
        found = {"postgres"} if 5432 in self.outside(service) else set()
        return found | {
            other
            for other in _SERVES
            if other != service
            and self._policies.may_reach(_labels(service), _labels(other), _SERVES[other])
        }

    def _scraped(self, role: str) -> bool:
        return self._policies.let_in(_labels(role), "monitoring")


def test_compose_and_kubernetes_let_the_same_services_reach_each_other(
    compose: dict[str, Any],
) -> None:
    networks = Networks(compose)
    kubernetes = _Kubernetes(set(compose["services"]))
    keepers = {each for each in kubernetes.roles if 5432 in kubernetes.outside(each)}
    trusted = keepers - {"migrate"}  # they share the database, and so a network
    for service in (*kubernetes.roles, "postgres", "prometheus"):
        wanted = kubernetes.connects(service)
        wanted |= {other for other in compose["services"] if service in kubernetes.connects(other)}
        wanted |= trusted - {service} if service in trusted else set()
        assert networks.peers(service) - {"grafana"} == wanted, service
    assert networks.peers("grafana") == {"postgres", "prometheus"}
    for role in kubernetes.roles:
        assert networks.has_a_way_out(role) == (443 in kubernetes.outside(role)), role
    assert not networks.has_a_way_out("postgres")
    for name, service in compose["services"].items():
        assert networks.has_a_way_out(name) or "ports" not in service, f"{name}: not published"


def test_the_documented_table_is_who_reaches_whom(compose: dict[str, Any]) -> None:
    networks, kubernetes = Networks(compose), _Kubernetes(set(compose["services"]))
    rows = []
    for service in compose["services"]:
        connects = ", ".join(sorted(kubernetes.connects(service))) or "none"
        peers = ", ".join(sorted(networks.peers(service)))
        out = "yes" if networks.has_a_way_out(service) else "no"
        rows.append(f"| `{service}` | {connects} | {peers} | {out} |")
    text = (_ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    table = text.partition("### Who reaches whom\n")[2].partition("\n### ")[0]
    assert [line for line in table.splitlines() if line.startswith("| `")] == rows
