"""The instructions that the stand-in understands in a prompt, in one table.

A need is an instruction that a sound prompt gives; a harm is one that it must not give. Each cue
has phrases that say it and phrases that say its contrary; a negation turns either round (see
`reading`). `advice` is how a person would write a need into a prompt (for a harm: what the bad
prompt says), `finding` how a diagnostician would name its absence (for a harm: its presence).
"""

from selfheal.simulator.cues.contract import Cue
from selfheal.simulator.cues.evaluator import EVALUATOR
from selfheal.simulator.cues.manager import MANAGER
from selfheal.simulator.cues.worker import WORKER

__all__ = ["CUES", "Cue"]

CUES: dict[str, tuple[Cue, ...]] = {"worker": WORKER, "manager": MANAGER, "evaluator": EVALUATOR}
