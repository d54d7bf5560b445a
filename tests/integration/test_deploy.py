"""The Kubernetes manifests as kubectl renders them. No cluster has seen them: what a schema and
these checks say is all that is known."""

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import psycopg
import pytest
import yaml

from selfheal.server.settings import ServerSettings
from tests.support.deployment_settings import SECRETS
from tests.support.manifest_mutations import BREAKAGES, one, pod
from tests.support.manifests import complaints
from tests.support.workloads import of_kind, workloads

_DEPLOY = Path(__file__).parents[2] / "deploy"
_ALL = ("base", "overlays/laptop", "overlays/production", "overlays/keda")
_CUSTOM = {"ScaledObject", "TriggerAuthentication"}
_OLDEST = "1.28"
Manifests = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def rendered() -> Manifests:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: the manifests in deploy/ were NOT checked")
    return {name: list(yaml.safe_load_all(_kustomize(_DEPLOY / name))) for name in _ALL}


def _kustomize(folder: Path) -> str:
    ended = subprocess.run(
        ["kubectl", "kustomize", str(folder)], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert not ended.stderr, f"kustomize warns: {ended.stderr}"
    return ended.stdout


@pytest.mark.parametrize("name", _ALL)
def test_manifests_are_of_the_schema(rendered: Manifests, name: str) -> None:
    for each in rendered[name]:
        if each["kind"] not in _CUSTOM:
            for version in (_OLDEST, kubernetes_validate.latest_version()):
                kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("name", _ALL)
def test_manifests_hold_together(rendered: Manifests, name: str) -> None:
    assert complaints(rendered[name]) == []


def test_every_role_is_there(rendered: Manifests) -> None:
    kinds = {each.component: each.kind for each in workloads(rendered["base"])}
    roles = dict.fromkeys(("manager", "worker", "evaluator", "runner"), "Deployment")
    assert kinds == {**roles, "migrate": "Job", "optimizer": "CronJob"}
    commands = {each.component: each.container["args"] for each in workloads(rendered["base"])}
    assert commands["migrate"] == ["migrate"]
    assert commands["optimizer"] == ["optimize"]
    for role, port in (("manager", 8000), ("worker", 8001), ("evaluator", 8002), ("runner", 8003)):
        wanted = ["serve", "--role", role, "--host", "0.0.0.0", "--port", str(port)]
        assert commands[role] == wanted


def test_on_a_laptop_one_process_is_everything(rendered: Manifests) -> None:
    objects = rendered["overlays/laptop"]
    found = {each.name: each for each in workloads(objects)}
    assert found.keys() == {"selfheal-manager", "selfheal-migrate", "postgres"}
    assert "all" in found["selfheal-manager"].container["args"]
    configs = [each.get("data") or {} for each in of_kind(objects, "ConfigMap")]
    assert {name: value for each in configs for name, value in each.items()} == {
        "SELFHEAL_MODEL": ServerSettings.model_fields["model"].default,
        "SELFHEAL_SANDBOX": "auto",
        "SELFHEAL_OPTIMIZE_EVERY_SECONDS": "600",
    }


def test_in_production_images_are_named_by_digest(rendered: Manifests) -> None:
    for name in ("overlays/production", "overlays/keda"):
        for each in workloads(rendered[name]):
            assert "@sha256:" in each.container["image"]


def test_secrets_are_named_and_never_given(rendered: Manifests) -> None:
    text = (_DEPLOY / "base/secret.example.env").read_text(encoding="utf-8")
    example = dict(line.split("=") for line in text.splitlines() if line[:1] not in {"", "#"})
    assert not any(example.values()), "the example holds a value"
    assert example.keys() <= SECRETS
    for objects in rendered.values():
        assert not list(of_kind(objects, "Secret"))
        for each in workloads(objects):
            for variable in each.container.get("env", []):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                assert reference is None or reference["name"] == "selfheal"
                assert reference is None or reference["key"] in example


async def test_keda_asks_for_what_waits(rendered: Manifests, database_url: str) -> None:
    objects = rendered["overlays/keda"]
    [scaled] = of_kind(objects, "ScaledObject")
    [access] = of_kind(objects, "TriggerAuthentication")
    [secret] = access["spec"]["secretTargetRef"]
    assert secret == {"parameter": "connection", "name": "selfheal", "key": "DATABASE_URL"}
    waiting, under_way = scaled["spec"]["triggers"]
    most = ServerSettings.model_fields["max_concurrency"].default
    assert under_way["metadata"]["targetQueryValue"] == str(most)
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await _claims(connection)
        for trigger, count in ((waiting, 1), (under_way, 2)):
            assert trigger["type"] == "postgresql"
            assert trigger["authenticationRef"]["name"] == access["metadata"]["name"]
            row = await (await connection.execute(trigger["metadata"]["query"])).fetchone()
            assert row == (count,)


async def _claims(connection: psycopg.AsyncConnection) -> None:
    """Let one run wait, one be under way, and one be due later."""
    for taken, after in ((False, 0), (True, 0), (False, 3600)):
        run = await connection.execute(
            "INSERT INTO runs (id, thread_id, assistant, status, request)"
            " VALUES (gen_random_uuid(), gen_random_uuid(), 'agent', 'pending', 'x')"
            " RETURNING id, thread_id"
        )
        await connection.execute(
            "INSERT INTO claims (run_id, thread_id, token, due_at) VALUES (%s, %s,"
            " CASE WHEN %s THEN gen_random_uuid() END,"
            " clock_timestamp() + make_interval(secs => %s))",
            (*(await run.fetchone() or ()), taken, after),
        )


@pytest.mark.parametrize("complaint", BREAKAGES)
def test_each_check_goes_red(rendered: Manifests, complaint: str) -> None:
    objects = copy.deepcopy(rendered["overlays/production"])
    BREAKAGES[complaint](objects)
    with pytest.raises(AssertionError, match=complaint):
        assert not complaints(objects), "\n".join(complaints(objects))


def test_a_misspelt_field_is_not_of_the_schema(rendered: Manifests) -> None:
    objects = copy.deepcopy(rendered["base"])
    pod(objects)["automountServiceAcountToken"] = False
    found = one(objects, "Deployment", "selfheal-worker")
    with pytest.raises(kubernetes_validate.ValidationError, match="automountServiceAcountToken"):
        kubernetes_validate.validate(found, _OLDEST, strict=True)
