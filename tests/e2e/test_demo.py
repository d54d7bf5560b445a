"""The demo, as a newcomer runs it: without a key, without a database, in an empty folder."""

import json
from pathlib import Path
from xml.etree import ElementTree

import psycopg
import pytest

from bench.harness.processes import clean_environment, finished, selfheal
from bench.harness.scripted_model import serve_scripted_model


@pytest.fixture
def newcomer(database_url: str, tmp_path: Path) -> dict[str, str]:
    """Return the environment of somebody who has nothing but a Postgres."""
    return clean_environment(DATABASE_URL=database_url, HOME=str(tmp_path))


async def databases(url: str) -> set[str]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute("SELECT datname FROM pg_database")
        return {row[0] for row in await cursor.fetchall()}


async def test_one_command_breaks_heals_and_proves(
    newcomer: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    figures, report = tmp_path / "figures.json", tmp_path / "report"
    command = selfheal("demo", "--json", str(figures), "--report", str(report))
    code, out, err = await finished(*command, env=newcomer, seconds=150)
    assert code == 0, out + err
    told = json.loads(figures.read_text())
    assert told["simulated"] is True
    assert told["model"].startswith("SIMULATED")
    assert (told["before"]["runs"], told["before"]["passed"]) == (10, 0)
    assert (told["after"]["runs"], told["unseen"]["runs"]) == (10, 20)
    # What a few cases do not miss is removed, so that less than all may pass at first.
    assert told["after"]["passed"] >= 5
    assert told["unseen"]["passed"] >= 10
    assert told["action"]["outcome"] == "promoted"
    assert told["action"]["root_causes"]
    assert (told["action"]["from_version"], told["action"]["to_version"]) == (1, 2)
    assert told["improvement_percent"] > 100
    assert "SIMULATED" in out
    assert "+++ candidate" in out
    assert "SIMULATED" in (report / "report.md").read_text()
    assert json.loads((report / "report.json").read_text()) == told
    chart = ElementTree.parse(report / "chart.svg").getroot()
    assert len(chart.findall(".//{*}g/{*}path/{*}title")) == 40
    assert told["before"]["failing_run"]["outcome"] == "failed"
    assert told["before"]["failing_run"]["message"] in out
    assert not [name for name in await databases(database_url) if "selfheal_demo" in name]


async def test_where_no_model_answers_the_demo_says_why(
    newcomer: dict[str, str], tmp_path: Path
) -> None:
    words = "User location is not supported for the API use."
    status = "FAILED_PRECONDITION"
    body = {"error": {"code": 400, "status": status, "message": words}}
    figures = tmp_path / "figures.json"
    command = selfheal("demo", "--report", str(tmp_path), "--json", str(figures))
    async with serve_scripted_model(lambda _: (400, body)) as server:
        key, url = "secret-key-of-this-test", server.url
        env = {**newcomer, "GOOGLE_API_KEY": key, "GOOGLE_GEMINI_BASE_URL": url}
        code, out, err = await finished(*command, env=env, seconds=150)
    cause = f"google_genai:gemini-3.8-flash refused the call: {status}: {words}"
    assert code == 1
    for told in (out, err, (tmp_path / "report.md").read_text()):
        assert f"model: {cause}" in told
    for file in (figures, tmp_path / "report.json"):
        failing = json.loads(file.read_text())["before"]["failing_run"]
        assert (failing["outcome"], failing["message"]) == ("model", cause)


async def test_without_a_sandbox_the_demo_says_how_to_get_one(
    newcomer: dict[str, str], tmp_path: Path
) -> None:
    env = {**newcomer, "SELFHEAL_SANDBOX": "static"}
    code, _, err = await finished(*selfheal("demo", "--report", str(tmp_path)), env=env)
    assert code == 3
    assert "no sandbox works here" in err


@pytest.mark.chaos
async def test_a_heal_that_does_not_happen_is_no_success(
    newcomer: dict[str, str], tmp_path: Path
) -> None:
    env = {**newcomer, "SELFHEAL_HEAL_BUDGET_CALLS": "3"}
    figures = tmp_path / "figures.json"
    command = selfheal("demo", "--report", str(tmp_path), "--json", str(figures))
    code, _, err = await finished(*command, env=env)
    assert code == 1
    assert "not healed: rejected, the budget of model calls is used up" in err
    told = json.loads(figures.read_text())
    assert told["after"] is None
    assert told["action"]["model_calls"] <= 3
