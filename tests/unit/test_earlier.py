"""Limits that a rewrite must not lose."""

import pytest

from selfheal.graph.prompts import first_prompts
from selfheal.optimizer.dataset.predecessors import restore_limits

_BEFORE = """You write Python functions.
- Use the standard library only.
- Never open a network connection or a file.

Answer with one code block. Prefer short names."""


def test_a_rewrite_gets_the_limits_that_it_dropped() -> None:
    text, kept = restore_limits("Write the function that is asked for, complete.", _BEFORE)
    assert kept == [
        "- Use the standard library only.",
        "- Never open a network connection or a file.",
    ]
    assert text.startswith("Write the function that is asked for, complete.\n\n- Use the standard")
    assert "short names" not in text


@pytest.mark.parametrize(
    "written",
    [
        _BEFORE,
        "Use only the standard library. Never open a file or a network connection.",
    ],
)
def test_a_limit_that_is_kept_is_not_said_twice(written: str) -> None:
    assert restore_limits(written, _BEFORE) == (written, [])


@pytest.mark.parametrize("agent", ["manager", "worker", "evaluator"])
def test_each_shipped_prompt_has_limits_and_keeps_its_own(agent: str) -> None:
    shipped = first_prompts()[agent]  # type: ignore[index]
    assert restore_limits(shipped, shipped) == (shipped, [])
    assert restore_limits("Do the work.", shipped)[1]
