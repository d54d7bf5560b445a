"""Running the static checks where a hostile text cannot do harm."""

import asyncio
import re
from importlib.resources import files
from typing import Final

from selfheal.graph.parsing.literals import quietly
from selfheal.graph.rules import isolated_call
from selfheal.graph.rules.static_checks import Observation, observations
from selfheal.graph.rules.weights import Finding
from selfheal.graph.sandbox.protocol import Execution, Program, Sandbox

# Characters. Longer texts can take the parser seconds; they are parsed in the sandbox.
SHORT: Final = 16_000
LONGEST: Final = 500_000
_READER: Final = (files("selfheal.graph.rules") / "static_checks.py").read_text(encoding="utf-8")
_NAMED = re.compile(r"\b(?:def|class)\s+([A-Za-z_]\w*)|^\s*([A-Za-z_]\w*)\s*\(")


def defined_name(signature: str) -> str | None:
    """Return the name that a signature defines, with or without its `def` or `class`."""
    match = _NAMED.search(signature)
    return (match[1] or match[2]) if match else None


async def read(code: str, signature: str, sandbox: Sandbox) -> tuple[Finding, ...]:
    """Return the findings of the static checks; the first one is whether the code parses.

    Args:
        code: the program.
        signature: of the function or class that it must define.
        sandbox: where long programs are parsed.

    Raises:
        SandboxUnavailable: the sandbox failed; nothing is known about the program.
    """
    if len(code) > LONGEST:
        return (Finding("parses", 0.0, f"longer than {LONGEST} characters", veto=True),)
    wanted = defined_name(signature)
    if len(code) > SHORT:
        call = f"observations({code!r}, {wanted!r})"
        execution = await sandbox.run(Program(_READER, (call,)))
        if execution.status != "not_run":
            return _findings(_answer(execution))
        return await _read_in_process(code, wanted)
    return _findings(await asyncio.to_thread(observations, code, wanted, quietly))


async def _read_in_process(code: str, wanted: str | None) -> tuple[Finding, ...]:
    """Parse in a separate process with limits, if there is no sandbox."""
    try:
        return _findings(await isolated_call.call(observations, code, wanted))
    except isolated_call.IsolatedCallError:
        return (Finding("parses", 0.0, "too much to parse", veto=True),)


def _answer(execution: Execution) -> list[Observation]:
    """Return the observations. Only our own code ran, but on a text that may break it."""
    value = execution.results[0].value if execution.results else None
    if isinstance(value, list) and value and all(map(_is_observation, value)):
        return value
    return [("parses", 0.0, f"too much to parse ({execution.status})", True)]


def _is_observation(value: object) -> bool:
    return isinstance(value, tuple) and tuple(map(type, value)) == (str, float, str, bool)


def _findings(observed: list[Observation]) -> tuple[Finding, ...]:
    return tuple(Finding(name, score, text, veto=veto) for name, score, text, veto in observed)
