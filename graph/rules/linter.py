"""The rule that runs a linter: errors only, no style."""

import asyncio
import json

from ruff import find_ruff_bin

from selfheal.graph.rules.weights import Finding
from selfheal.graph.sandbox.values import clean

_SELECT = "E9,F63,F7,F82,F811,B006,B008,E722"  # errors and likely errors, no style
_SECONDS = 10
_LONGEST = 500_000
_LONGEST_DETAIL = 500
_RUFF = find_ruff_bin()


async def lint(code: str) -> Finding | None:
    """Return the finding of ruff, None if it fails.

    ruff reads the code from its standard input and does not execute it.
    """
    if len(code) > _LONGEST:
        return Finding("linter", 0.0, f"longer than {_LONGEST} characters")
    try:
        async with asyncio.timeout(_SECONDS):
            output = await _ruff(code)
        errors = [
            f"line {each['location']['row']}: {each['message']}" for each in json.loads(output)
        ]
    except (TimeoutError, OSError, ValueError, LookupError, TypeError):
        return None
    shown = clean("; ".join(errors[:3]), _LONGEST_DETAIL)
    return Finding("linter", max(0.0, 1 - len(errors) / 4), shown)


async def _ruff(code: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        _RUFF,
        # Neither comments of the program nor a configuration file may disable a rule.
        *("check", "--isolated", "--ignore-noqa", "--no-cache", "--quiet"),
        *("--output-format", "json"),
        *("--target-version", "py311", "--select", _SELECT, "--stdin-filename", "answer.py", "-"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )
    try:
        output, _ = await process.communicate(code.encode(errors="replace"))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output
