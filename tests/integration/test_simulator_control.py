"""The control endpoint and the command line of the simulator."""

import json
import os
import signal
import sys

import httpx
import pytest

from bench.harness.processes import clean_environment, finished, started
from tests.conftest import control

SIMULATOR = (sys.executable, "-m", "selfheal.simulator")
READY = r"SIMULATED Gemini listening on (http://\S+) \(scenario \S+, seed -?\d+\)"


async def test_it_shows_and_takes_settings(gemini: str) -> None:
    fault = {"kind": "rate-limit", "persona": "worker", "times": 2, "retry_delay": 1}
    shown = await control(
        gemini, scenario="null", seed=9, noise=0.5, latency_seconds=0, faults=[fault]
    )
    assert (shown["scenario"], shown["seed"], shown["noise"]) == ("null", 9, 0.5)
    assert shown["simulated"] is True
    assert fault.items() <= shown["faults"][0].items()
    shown = await control(gemini, reset=True)
    assert (shown["scenario"], shown["noise"], shown["faults"]) == ("null", 0.03, [])


async def test_it_counts_calls_by_persona_and_outcome(gemini: str) -> None:
    await control(gemini, faults=[{"kind": "unavailable", "times": 1}])
    asked = {"contents": [{"parts": [{"text": "x"}]}]}
    async with httpx.AsyncClient(base_url=gemini, headers={"x-goog-api-key": "k"}) as http:
        for _ in range(3):
            await http.post("/v1beta/models/gemini-3.8-flash:generateContent", json=asked)
        shown = (await http.get("/control")).json()
    assert shown["counts"] == {"worker": {"unavailable": 1, "ok": 2}}


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("{", "no JSON"),
        ("[]", "must be a JSON object"),
        ('{"volume": 11}', "no `volume` to set"),
        ('{"scenario": "doomsday"}', "no scenario 'doomsday'"),
        ('{"scenario": []}', "no scenario []"),
        ('{"seed": "x"}', "`seed` must be a whole number"),
        ('{"seed": true}', "`seed` must be a whole number"),
        ('{"noise": 2}', "`noise` must be a number from 0 to 1"),
        ('{"noise": NaN}', "`noise` must be a number from 0 to 1"),
        ('{"latency_seconds": -1}', "from 0 to 3600"),
        ('{"faults": {}}', "`faults` must be a list"),
        ('{"faults": [{"kind": "x"}]}', "no fault of kind 'x'"),
        ('{"faults": [{"kind": []}]}', "no fault of kind []"),
        ('{"reset": 1}', "`reset` must be true or false"),
        ('{"seed": 5, "noise": 7}', "`noise` must be"),
    ],
)
async def test_bad_input_changes_nothing_and_is_reported(
    gemini: str, wanted: str, says: str
) -> None:
    async with httpx.AsyncClient(base_url=gemini) as http:
        said = await http.post("/control", content=wanted)
        assert said.status_code == 422
        assert says in said.json()["error"]
        assert (await http.get("/control")).json()["seed"] == 0


async def test_it_lists_defects_and_scenarios(gemini: str) -> None:
    async with httpx.AsyncClient(base_url=gemini) as http:
        defects = (await http.get("/control/defects")).json()
        scenarios = (await http.get("/control/scenarios")).json()
    assert defects[0]["name"] == "hello-world"
    assert set(defects[0]) == {"name", "agent", "strength", "prompt"}
    assert {"sound", "null", "gullible", "rate-limit"} <= {each["name"] for each in scenarios}


class TestProgram:
    async def test_it_serves_until_it_is_stopped(self) -> None:
        command = (*SIMULATOR, "--port", "0", "--scenario", "null", "--seed", "4")
        async with started(*command, env=clean_environment(), says=READY) as (process, url):
            async with httpx.AsyncClient() as http:
                shown = (await http.get(f"{url}/control")).json()
            assert (shown["scenario"], shown["seed"]) == ("null", 4)
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0

    async def test_a_command_is_led_to_it_and_its_exit_code_is_ours(self) -> None:
        script = """
import json, os, sys, urllib.request
url = os.environ["GOOGLE_GEMINI_BASE_URL"]
shown = json.load(urllib.request.urlopen(url + "/control"))
print(json.dumps([url, os.environ["GOOGLE_API_KEY"], shown["scenario"], sys.argv[1:]]))
sys.exit(7)
"""
        command = (*SIMULATOR, "--scenario", "null", "--", sys.executable, "-c", script, "--", "-x")
        code, out, err = await finished(*command, env=clean_environment())
        url, key, scenario, arguments = json.loads(out)
        assert (code, key, scenario, arguments) == (7, "simulated", "null", ["--", "-x"])
        assert url in err
        assert "SIMULATED" in err
        async with httpx.AsyncClient() as http:
            with pytest.raises(httpx.ConnectError):
                await http.get(url)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_signals_reach_the_command(self, number: signal.Signals) -> None:
        # In a shell's background SIGINT is ignored, by all that is started there.
        heard = f"import os, signal, time; signal.signal({number.value}, signal.SIG_DFL)"
        script = heard + "; print(f'pid {os.getpid()}', flush=True); time.sleep(60)"
        command = (*SIMULATOR, "--", sys.executable, "-c", script)
        async with started(*command, env=clean_environment(), says=r"pid (\d+)") as (process, pid):
            process.send_signal(number)
            assert await process.wait() == 128 + number
            with pytest.raises(ProcessLookupError):
                os.kill(int(pid), 0)

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--scenario", "doomsday"), "invalid choice: 'doomsday'"),
            (("--port", "99999"), "choose another --port"),
            (("--port", "x"), "invalid int value"),
            (("--", "no-such-command-here"), "cannot run 'no-such-command-here'"),
        ],
    )
    async def test_bad_arguments_end_with_2_and_a_line(
        self, arguments: tuple[str, ...], says: str
    ) -> None:
        code, out, err = await finished(*SIMULATOR, *arguments, env=clean_environment())
        assert (code, out) == (2, "")
        assert says in err
        assert "Traceback" not in err

    async def test_a_port_that_is_taken_is_named(self, gemini: str) -> None:
        port = gemini.rpartition(":")[2]
        code, _, err = await finished(*SIMULATOR, "--port", port, env=clean_environment())
        assert code == 2
        assert f"cannot listen on 127.0.0.1:{port}" in err
