"""Without a key: commands beside `make serve` reach the same model, and no others do."""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.harness.leftovers import descendants
from bench.harness.processes import clean_environment, finished, selfheal, started
from selfheal.app.redaction import redact
from selfheal.db.settings import secret_values
from selfheal.server.model_address import publish_model_address, read_settings_beside_service
from selfheal.server.observability.masking import masking
from selfheal.server.settings import ServerSettings, read_settings
from tests.support.command_line import commands_by_name

SIMULATOR = (sys.executable, "-m", "selfheal.simulator", "--")
LACKING = ("no model can be called", "the judge cannot be called")
BEGIN_THEIR_OWN = {"serve", "demo"}  # they take no other process's model


@dataclass(frozen=True)
class Second:
    """A terminal beside a service without a key: its environment, and the folder they share."""

    env: dict[str, str]
    folder: Path


@pytest.fixture(scope="module")
async def second(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Second]:
    """Serve without a key, as `make serve` does, on an embedded Postgres."""
    folder = tmp_path_factory.mktemp("data")
    env = clean_environment(SELFHEAL_DATA_DIR=str(folder), SELFHEAL_OPTIMIZE_EVERY_SECONDS="0")
    async with started(
        *SIMULATOR, *selfheal("serve", "--port", "0"), env=env, says=r"serving on (http://\S+)"
    ):
        yield Second(env, folder)


async def test_the_judge_is_checked_and_named_simulated(second: Second) -> None:
    code, out, err = await finished(*selfheal("golden", "check"), env=second.env)
    assert code == 0, err
    assert "answered by SIMULATED-gemini-3.8-flash" in out
    code, out, _ = await finished(*selfheal("golden", "check", "--json"), env=second.env)
    assert json.loads(out)["answered_by"] == ["SIMULATED-gemini-3.8-flash"]


async def test_a_pass_is_made_and_the_doctor_is_content(second: Second) -> None:
    code, out, err = await finished(*selfheal("optimize"), env=second.env)
    assert (code, json.loads(out)["outcome"]) == (0, "healthy"), err
    code, out, err = await finished(*selfheal("doctor"), env=second.env)
    assert code == 0, out + err
    assert "ok       embedded Postgres" in out
    assert "answers as SIMULATED-gemini-3.8-flash" in out
    assert "setting  GOOGLE_API_KEY: unset" in out  # it shows what is set, not what is taken
    assert "setting  GOOGLE_GEMINI_BASE_URL: unset" in out


async def test_no_command_beside_it_lacks_a_key(second: Second) -> None:
    lacking = []
    for name, command in commands_by_name().items():
        if name in BEGIN_THEIR_OWN or command[:2] == ("golden", "check"):
            continue
        _, out, err = await finished(*selfheal(*command), env=second.env)
        if any(each in out + err for each in LACKING):
            lacking.append(name)
    assert lacking == []


async def test_a_key_of_ones_own_always_wins(second: Second) -> None:
    """The embedded database is the service's, and the model is not."""
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:1"}  # Google is not called from here
    for own in ({"GOOGLE_API_KEY": "own"}, {"SELFHEAL_JUDGE_API_KEY": "own"}):
        _, out, _ = await finished(*selfheal("doctor"), env=second.env | nowhere | own)
        assert "ok       embedded Postgres" in out
        assert "MISSING  model" in out
        assert "SIMULATED" not in out


async def test_a_service_that_was_killed_leaves_nothing_that_is_used(
    database_url: str, tmp_path: Path
) -> None:
    env = clean_environment(SELFHEAL_DATA_DIR=str(tmp_path), DATABASE_URL=database_url)
    serve = (*SIMULATOR, *selfheal("serve", "--port", "0"))
    async with started(*serve, env=env, says="serving on") as (simulator, _):
        [service] = descendants(simulator.pid)
        os.kill(service, signal.SIGKILL)
        assert await simulator.wait() == 128 + signal.SIGKILL
    assert len(records(tmp_path)) == 1
    code, _, err = await finished(*selfheal("optimize"), env=env)
    assert (code, LACKING[0] in err) == (2, True)
    assert records(tmp_path) == []


def records(folder: Path) -> list[Path]:
    return list(folder.glob("model-*"))


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder in which this process has published an address."""
    monkeypatch.setenv("SELFHEAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:5/x")
    with publish_model_address(read_settings()):
        monkeypatch.delenv("GOOGLE_GEMINI_BASE_URL")
        monkeypatch.setenv("GOOGLE_API_KEY", "")  # what is taken is undone at the end
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "")
        [record] = (tmp_path / "data").iterdir()
        yield record


def taken() -> str:
    """Return the address that a command would use, "" for Google's own."""
    read_settings_beside_service()
    return os.environ["GOOGLE_GEMINI_BASE_URL"]


def test_a_record_is_taken_while_it_is_held(address: Path) -> None:
    assert (address.stat().st_mode & 0o777, address.read_text()) == (0o600, "http://127.0.0.1:5/x")
    assert taken() == "http://127.0.0.1:5/x"
    # What stands for the key is no secret that other texts would lose their words to.
    quoted = "none of the keys - no key at all - is valid"
    assert masking()(quoted) == redact(quoted, set(secret_values(ServerSettings))) == quoted


def test_of_two_services_the_living_one_is_found(address: Path) -> None:
    for name in ("model-a.address", "model-z.address"):
        stale = address.with_name(name)
        stale.write_text("http://127.0.0.1:6")
        stale.chmod(0o600)
    assert taken() == "http://127.0.0.1:5/x"


def test_a_record_that_others_can_write_is_ignored(address: Path) -> None:
    address.chmod(0o660)
    assert taken() == ""


def test_a_record_of_another_user_is_ignored(
    address: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: address.stat().st_uid + 1)
    assert taken() == ""


@pytest.mark.parametrize(
    "text", ["http://192.0.2.1:5", "http://127.0.0.1@192.0.2.1", "file:///etc/passwd", "", "\x00["]
)
def test_a_record_of_no_address_of_this_machine_is_ignored(address: Path, text: str) -> None:
    address.write_text(text)
    assert taken() == ""


@pytest.mark.parametrize(
    "own", ["GOOGLE_API_KEY", "SELFHEAL_JUDGE_API_KEY", "SELFHEAL_MODEL", "GOOGLE_GEMINI_BASE_URL"]
)
def test_a_setting_of_ones_own_wins(
    address: Path, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(own, "http://192.0.2.1" if own.endswith("URL") else "ollama:own")
    assert taken() == os.environ["GOOGLE_GEMINI_BASE_URL"]
    assert "127.0.0.1" not in taken()


@pytest.mark.parametrize("elsewhere", ["", "https://gemini.example", "http://192.0.2.1:80/x"])
def test_no_other_address_is_published(
    elsewhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFHEAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", elsewhere)
    with publish_model_address(read_settings()):
        assert not (tmp_path / "data").exists()


def test_a_folder_that_cannot_be_written_stops_no_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:5")
    settings = read_settings().model_copy(update={"data_dir": tmp_path / "data"})
    (tmp_path / "data").write_text("no folder")
    with publish_model_address(settings):
        assert "commands in other terminals will not find the model: File exists" in caplog.text
