"""What one answer may draw on: the bank, the noise of the call, the scenario's character."""

from dataclasses import dataclass, replace

from selfheal.simulator.bank import Bank
from selfheal.simulator.noise import Noise
from selfheal.simulator.tasks import Task


@dataclass(frozen=True)
class Character:
    """How the simulated model is in this scenario, beyond what its prompts say."""

    gullible: bool = False
    nothing_wrong: bool = False
    judge: str = "fair"
    slips: float = 0.03
    judge_sigma: float = 0.03

    def with_slips(self, slips: float) -> "Character":
        """Return the same with another rate of slips in good work."""
        return replace(self, slips=slips)

    def with_judge_sigma(self, sigma: float) -> "Character":
        """Return the same with marks that scatter otherwise."""
        return replace(self, judge_sigma=sigma)


@dataclass(frozen=True)
class Setting:
    """What a persona is given besides the call itself."""

    bank: Bank
    noise: Noise
    seed: int
    character: Character

    def habit(self, agent: str, cue: str, task: Task, probability: float) -> bool:
        """Tell whether a missing instruction shows for this task.

        Mostly the same for the same task, whatever the prompt's wording: two prompts that lack
        the same thing fail on the same tasks, as a real model's would.
        """
        if self.noise.chance(0.15, "mood", cue):
            return self.noise.chance(probability, "habit", cue)
        return Noise(self.seed, agent, cue, task.name).chance(probability)
