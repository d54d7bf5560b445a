"""The control endpoint: shows and changes the state of the simulator."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from selfheal.simulator import VERSION
from selfheal.simulator.defects import load_defects
from selfheal.simulator.faults import FaultError, parse_fault
from selfheal.simulator.scenarios import SCENARIOS
from selfheal.simulator.state import State


class ControlError(ValueError):
    """The body that was posted to /control is invalid."""


def control_routes() -> list[Route]:
    """Return the routes under /control."""
    return [
        Route("/control", _show),
        Route("/control", _guarded(_change), methods=["POST"]),
        Route("/control/scenarios", _scenarios),
        Route("/control/defects", _defects),
    ]


def _shown(state: State) -> dict[str, Any]:
    return {
        "simulated": True,
        "version": VERSION,
        "scenario": state.scenario,
        "seed": state.seed,
        "noise": state.behaviour.slips,
        "judge_noise": state.behaviour.judge_sigma,
        "judge_bias": state.behaviour.judge_bias,
        "latency_seconds": state.latency_seconds,
        "faults": [fault.shown() for fault in state.faults],
        "counts": {persona: dict(counter) for persona, counter in state.counts.items()},
    }


async def _show(request: Request) -> JSONResponse:
    return JSONResponse(_shown(request.app.state.simulated))


async def _scenarios(_: Request) -> JSONResponse:
    return JSONResponse(
        [{"name": name, "about": scenario.about} for name, scenario in SCENARIOS.items()]
    )


async def _defects(_: Request) -> JSONResponse:
    return JSONResponse([defect.shown() for defect in load_defects()])


def _guarded(
    change: Callable[[Request], Awaitable[JSONResponse]],
) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def guarded(request: Request) -> JSONResponse:
        try:
            return await change(request)
        except (ControlError, FaultError) as error:
            return JSONResponse({"error": str(error)}, 422)

    return guarded


async def _change(request: Request) -> JSONResponse:
    state: State = request.app.state.simulated
    try:
        wanted = json.loads(await request.body())
    except ValueError as error:
        raise ControlError(f"The body is no JSON: {error}.") from error
    changes = _checked(wanted)
    if changes.pop("reset", False):
        state.reset()
    state.change(changes)
    return JSONResponse(_shown(state))


def _checked(wanted: object) -> dict[str, Any]:
    """Return the changes by attribute of the state; raise before anything is changed."""
    if not isinstance(wanted, dict):
        raise ControlError("The body must be a JSON object.")
    unknown = sorted(set(wanted) - set(_READERS))
    if unknown:
        raise ControlError(f"There is no `{unknown[0]}` to set; there is: {', '.join(_READERS)}.")
    return dict(_READERS[name](name, value) for name, value in wanted.items())


def _scenario(_: str, value: object) -> tuple[str, object]:
    if not isinstance(value, str) or value not in SCENARIOS:
        raise ControlError(f"There is no scenario {value!r}; there are: {', '.join(SCENARIOS)}.")
    return "scenario", value


def _whole(name: str, value: object) -> tuple[str, object]:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ControlError(f"`{name}` must be a whole number.")
    return name, value


def _seconds(name: str, value: object) -> tuple[str, object]:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 3600:
        raise ControlError(f"`{name}` must be a number from 0 to 3600.")
    return name, value


def _share(name: str, value: object) -> tuple[str, object]:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ControlError(f"`{name}` must be a number from 0 to 1.")
    return {"noise": "slips", "judge_noise": "judge_sigma"}[name], value


def _bias(name: str, value: object) -> tuple[str, object]:
    if not isinstance(value, int | float) or isinstance(value, bool) or not -1 <= value <= 1:
        raise ControlError(f"`{name}` must be a number from -1 to 1.")
    return name, float(value)


def _faults(_: str, value: object) -> tuple[str, object]:
    if not isinstance(value, list):
        raise ControlError("`faults` must be a list.")
    return "faults", tuple(map(parse_fault, value))


def _reset(name: str, value: object) -> tuple[str, object]:
    if not isinstance(value, bool):
        raise ControlError("`reset` must be true or false.")
    return name, value


_READERS: dict[str, Callable[[str, object], tuple[str, object]]] = {
    "scenario": _scenario,
    "seed": _whole,
    "faults": _faults,
    "latency_seconds": _seconds,
    "noise": _share,
    "judge_noise": _share,
    "judge_bias": _bias,
    "reset": _reset,
}
