"""The parts that the stand-in plays, a part a file."""

from collections.abc import Callable, Mapping
from typing import Any

from selfheal.simulator.call import Call
from selfheal.simulator.personas import diagnostician, generic, judge, manager, worker, writer
from selfheal.simulator.world import Setting

Answer = str | Mapping[str, Any]

PERSONAS: dict[str, Callable[[Call, Setting], Answer]] = {
    "worker": worker.answer,
    "manager": manager.answer,
    "judge": judge.answer,
    "diagnostician": diagnostician.answer,
    "writer": writer.answer,
    "generic": generic.answer,
}


def answer(call: Call, setting: Setting) -> Answer:
    """Play the part that the call asks for: free text, or an object for its schema."""
    given = PERSONAS[call.persona](call, setting)
    if call.schema is None or isinstance(given, str):
        return given
    return generic.fit(given, call.schema)
