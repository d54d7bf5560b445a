"""The personas of the simulated model, one a module."""

from collections.abc import Callable, Mapping
from typing import Any

from selfheal.simulator.answer_context import AnswerContext
from selfheal.simulator.call import Call
from selfheal.simulator.personas import diagnostician, generic, judge, manager, worker, writer

Answer = str | Mapping[str, Any]

PERSONAS: dict[str, Callable[[Call, AnswerContext], Answer]] = {
    "worker": worker.answer,
    "manager": manager.answer,
    "judge": judge.answer,
    "diagnostician": diagnostician.answer,
    "writer": writer.answer,
    "generic": generic.answer,
}


def answer(call: Call, context: AnswerContext) -> Answer:
    """Return the answer of the call's persona: text, or an object for the call's schema."""
    given = PERSONAS[call.persona](call, context)
    if call.schema is None or isinstance(given, str):
        return given
    return generic.fit(given, call.schema)
