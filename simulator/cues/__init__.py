"""The instructions that the simulated model understands in a prompt, as cues.

A need is an instruction that a good prompt contains; a harm is one that it must not contain. A cue
has patterns that state it and patterns that deny it; a negation reverses either (see
`prompt_parsing`).
"""

import tomllib
from dataclasses import replace
from pathlib import Path

from selfheal.simulator.cues.base import Cue
from selfheal.simulator.cues.evaluator import EVALUATOR
from selfheal.simulator.cues.manager import MANAGER
from selfheal.simulator.cues.worker import WORKER

__all__ = ["CUES", "Cue"]

_PHRASES = tomllib.loads((Path(__file__).parents[1] / "phrases.toml").read_text(encoding="utf-8"))


def _with_phrases(agent: str, cue: Cue) -> Cue:
    """Return a cue with the other words for it added."""
    more = _PHRASES[agent][cue.name]
    return replace(
        cue,
        advice=(*cue.advice, *more.get("advice", ())),
        findings=(*cue.findings, *more["findings"]),
        suggestions=(*cue.suggestions, *more.get("suggestions", ())),
    )


CUES: dict[str, tuple[Cue, ...]] = {
    agent: tuple(_with_phrases(agent, cue) for cue in cues)
    for agent, cues in (("worker", WORKER), ("manager", MANAGER), ("evaluator", EVALUATOR))
}
