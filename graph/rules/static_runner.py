"""Rules that read the code, in a place where a hostile text does no harm."""

import asyncio
import re
from importlib.resources import files
from typing import Final

from selfheal.graph.parsing.literals import quietly
from selfheal.graph.rules import isolated_call
from selfheal.graph.rules.static_checks import Observation, observations
from selfheal.graph.rules.weights import Finding
from selfheal.graph.sandbox.protocol import Execution, Program, Sandbox

# Longer texts can keep the parser busy for seconds; they are read in the sandbox.
SHORT: Final = 16_000
LONGEST: Final = 500_000
_READER: Final = (files("selfheal.graph.rules") / "static_checks.py").read_text(encoding="utf-8")
_NAMED = re.compile(r"\b(?:def|class)\s+([A-Za-z_]\w*)|^\s*([A-Za-z_]\w*)\s*\(")


def asked_name(signature: str) -> str | None:
    """Return the name that a signature defines, with or without its `def` or `class`."""
    match = _NAMED.search(signature)
    return (match[1] or match[2]) if match else None


async def read(code: str, signature: str, sandbox: Sandbox) -> tuple[Finding, ...]:
    """Return what the rules of reading find; the first finding is whether it parses.

    Raises:
        SandboxUnavailable: the sandbox broke; nothing is known about the program.
    """
    if len(code) > LONGEST:
        return (Finding("parses", 0.0, f"longer than {LONGEST} characters", veto=True),)
    wanted = asked_name(signature)
    if len(code) > SHORT:
        call = f"observations({code!r}, {wanted!r})"
        execution = await sandbox.run(Program(_READER, (call,)))
        if execution.status != "not_run":
            return _findings(_answer(execution))
        return await _read_apart(code, wanted)
    return _findings(await asyncio.to_thread(observations, code, wanted, quietly))


async def _read_apart(code: str, wanted: str | None) -> tuple[Finding, ...]:
    """Read where there is no sandbox, in a process that can be stopped."""
    try:
        return _findings(await isolated_call.call(observations, code, wanted))
    except isolated_call.IsolatedCallError:
        return (Finding("parses", 0.0, "too much to read", veto=True),)


def _answer(execution: Execution) -> list[Observation]:
    """Return what was observed. Only our own code ran there, but on a text that may break it."""
    value = execution.results[0].value if execution.results else None
    if isinstance(value, list) and value and all(map(_is_observation, value)):
        return value
    return [("parses", 0.0, f"too much to read ({execution.status})", True)]


def _is_observation(value: object) -> bool:
    return isinstance(value, tuple) and tuple(map(type, value)) == (str, float, str, bool)


def _findings(observed: list[Observation]) -> tuple[Finding, ...]:
    return tuple(Finding(name, score, words, veto=veto) for name, score, words, veto in observed)
