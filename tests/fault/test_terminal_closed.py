"""A terminal is closed, the simulator is killed: nothing is left that runs without a model."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from bench.harness.leftovers import descendants, stopped
from bench.harness.processes import clean_environment, finished, heard, selfheal, speaking, started
from tests.support.terminals import ended, in_terminal

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
MAKE_SERVE = ("make", "-o", ".venv/runtime", f"BIN={BIN}", "serve", "PORT=0")
SIMULATOR = (sys.executable, "-m", "selfheal.simulator", "--")
ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
SERVING = r"serving on (http://\S+)"

# Says which signals reach it, and ends at the last of them.
LISTENER = """
import signal, sys
def say(number, frame):
    print("got", signal.Signals(number).name, flush=True)
    sys.exit(7)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
    signal.signal(number, say)
print("ready", flush=True)
while True:
    signal.pause()
"""

# A child makes the link when its parent is gone. The pipe ends when the child does.
ORPHAN = """
import os
from selfheal.simulator.command import _parent_death_link
reading, writing = os.pipe()
if os.fork() == 0:
    parent, link = os.getpid(), _parent_death_link()
    if os.fork() == 0:
        while os.getppid() == parent:
            pass
        link()
        os.write(writing, b"lives on")
    os._exit(0)
os.close(writing)
print("the child", os.read(reading, 100).decode() or "ended")
"""


def embedded(folder: Path, **more: str) -> dict[str, str]:
    return clean_environment(SELFHEAL_DATA_DIR=str(folder), HOME=str(folder), **more)


async def end_with_postgres(pids: list[int], folder: Path) -> None:
    await ended(pids)
    assert stopped(folder)
    log = (folder / "postgres.log").read_text()
    assert "database system is shut down" in log


@pytest.mark.parametrize("leader", [(), ("bash", "-i", "-c", '"$@"; true', "bash")])
@pytest.mark.parametrize("key", ["", "not used"])
async def test_closing_the_terminal_of_make_serve_ends_all_of_it(
    leader: tuple[str, ...], key: str, tmp_path: Path
) -> None:
    """Whether a shell passes the signal on, or `make` leads the session and keeps it."""
    folder = tmp_path / "data"
    env = embedded(folder, GOOGLE_API_KEY=key)
    async with in_terminal(*leader, *MAKE_SERVE, env=env, cwd=ROOT) as terminal:
        url = await terminal.until(SERVING)
        assert not url.endswith(":8000")
        family = [terminal.pid, *descendants(terminal.pid)]
        assert ("SIMULATED" in terminal.seen) == (not key)
        terminal.close()
        await end_with_postgres(family, folder)
    async with httpx.AsyncClient(base_url=url) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/ok")


async def test_it_says_what_it_does_while_it_starts(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with in_terminal(*MAKE_SERVE, env=embedded(folder), cwd=ROOT) as terminal:
        for step in (
            "SIMULATED Gemini listening on",
            "starting role all",
            f"starting Postgres in {folder}, for the first time",
            "opening the database",
            "checking the sandbox",
            SERVING,
        ):
            await terminal.until(step)
        places = [terminal.seen.index(step) for step in ("starting role", "starting Postgres")]
        assert places == sorted(places)
        family = [terminal.pid, *descendants(terminal.pid)]
        terminal.press(b"\x03")
        await end_with_postgres(family, folder)


def test_the_first_line_waits_for_none_of_the_agents_libraries() -> None:
    code = (
        "import sys, selfheal.server.commands.serve;"
        "sys.exit('langchain.chat_models' in sys.modules)"
    )
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0


async def test_closing_it_while_postgres_starts_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with in_terminal(*MAKE_SERVE, env=embedded(folder), cwd=ROOT) as terminal:
        await terminal.until("starting Postgres")
        family = [terminal.pid, *descendants(terminal.pid)]
        terminal.close()
        await ended(family)
        assert stopped(folder)


async def test_a_killed_simulator_takes_the_service_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    serve = (*SIMULATOR, *selfheal("serve", "--port", "0"))
    async with started(*serve, env=embedded(folder), says=SERVING) as (simulator, _):
        family = list(descendants(simulator.pid))
        assert len(family) == 1
        simulator.send_signal(signal.SIGKILL)
        await end_with_postgres(family, folder)


@pytest.mark.parametrize("number", ENDING)
async def test_every_ending_signal_is_passed_on_once(number: signal.Signals) -> None:
    command = (*SIMULATOR, sys.executable, "-c", LISTENER)
    async with speaking(*command, env=clean_environment()) as (simulator, said):
        await heard(said, "ready")
        simulator.send_signal(number)
        assert await heard(said, r"got (\w+)") == number.name
        assert await simulator.wait() == 7
        assert b"got" not in await said.read()


async def test_under_nohup_a_closed_terminal_ends_nothing(tmp_path: Path) -> None:
    command = (*SIMULATOR, sys.executable, "-c", LISTENER)
    async with speaking("nohup", *command, env=clean_environment()) as (simulator, said):
        await heard(said, "ready")
        simulator.send_signal(signal.SIGHUP)
        simulator.send_signal(signal.SIGTERM)
        assert await heard(said, r"got (\w+)") == "SIGTERM"


async def test_a_link_that_comes_too_late_ends_its_process() -> None:
    _, out, err = await finished(sys.executable, "-c", ORPHAN, env=clean_environment())
    assert out == "the child ended\n", err


@pytest.mark.parametrize("number", ENDING)
async def test_the_service_stops_its_postgres_at_every_ending_signal(
    number: signal.Signals, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    env = embedded(folder, GOOGLE_API_KEY="not used")
    async with started(*selfheal("serve", "--port", "0"), env=env, says=SERVING) as (service, _):
        service.send_signal(number)
        assert await service.wait() == 0
        await end_with_postgres([], folder)


@pytest.mark.parametrize("number", ENDING)
async def test_a_start_that_is_ended_leaves_no_postgres(
    number: signal.Signals, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    env = embedded(folder, GOOGLE_API_KEY="not used")
    async with speaking(*selfheal("serve", "--port", "0"), env=env) as (service, said):
        await heard(said, "starting Postgres")
        service.send_signal(number)
        assert await asyncio.wait_for(service.wait(), 60) == 128 + number
        assert stopped(folder)


async def test_closing_the_terminal_of_studio_stops_its_postgres(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    env = embedded(folder, LANGGRAPH_CLI_NO_ANALYTICS="1", PYTHONPATH=str(ROOT))
    langgraph = (str(BIN / "langgraph"), "dev", "--no-browser", "--no-reload")
    port = str(20_000 + os.getpid() % 20_000)
    command = (*SIMULATOR, *langgraph, "--port", port)
    async with in_terminal(*command, env=env, cwd=ROOT) as terminal:
        await terminal.until("Application started up", 90)
        family = [terminal.pid, *descendants(terminal.pid)]
        terminal.close()
        await end_with_postgres(family, folder)


async def test_of_two_services_on_one_port_the_second_says_so_and_ends(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    serve = (*SIMULATOR, *selfheal("serve", "--metrics-port", "0", "--port"))
    async with started(*serve, "0", env=embedded(folder), says=SERVING) as (_, url):
        port = url.rpartition(":")[2]
        code, out, err = await finished(*serve, port, env=embedded(folder))
        said = [line for line in err.splitlines() if "SIMULATED Gemini" not in line]
        assert (code, out, len(said)) == (2, "", 1)
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use; try --port" in said[0]
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            body = {"assistant_id": "agent", "input": {"request": "Write add(a, b)."}}
            assert (await client.post("/runs/wait", json=body)).json()["evaluation"]
