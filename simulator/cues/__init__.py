"""The instructions that the simulated model understands in a prompt, as cues.

A need is an instruction that a good prompt contains; a harm is one that it must not contain. A cue
has patterns that state it and patterns that deny it; a negation reverses either (see
`prompt_parsing`).
"""

from selfheal.simulator.cues.base import Cue
from selfheal.simulator.cues.evaluator import EVALUATOR
from selfheal.simulator.cues.manager import MANAGER
from selfheal.simulator.cues.worker import WORKER

__all__ = ["CUES", "Cue"]

CUES: dict[str, tuple[Cue, ...]] = {"worker": WORKER, "manager": MANAGER, "evaluator": EVALUATOR}
