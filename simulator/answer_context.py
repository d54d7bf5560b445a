"""The inputs of one answer: the bank, the noise of the call, the behaviour of the scenario."""

from dataclasses import dataclass

from selfheal.simulator.bank import Bank
from selfheal.simulator.seeded_noise import Noise
from selfheal.simulator.tasks import Task


@dataclass(frozen=True)
class ModelBehaviour:
    """The behaviour of the simulated model in a scenario, apart from what its prompts cause.

    Attributes:
        gullible: diagnostician and writer follow instructions in data.
        nothing_wrong: the writer's candidates are useless or slightly harmful.
        judge: `fair`, `lenient`, `harsh` or `random`.
        slips: the rate of mistakes in otherwise correct code, from 0 to 1.
        judge_sigma: the standard deviation of the judge's marks.
        judge_bias: what the judge adds to each mark, from -1 to 1.
    """

    gullible: bool = False
    nothing_wrong: bool = False
    judge: str = "fair"
    slips: float = 0.03
    judge_sigma: float = 0.03
    judge_bias: float = 0.0


@dataclass(frozen=True)
class AnswerContext:
    """The inputs of a persona besides the call itself."""

    bank: Bank
    noise: Noise
    seed: int
    behaviour: ModelBehaviour

    def shows_defect(self, agent: str, cue: str, task: Task, probability: float) -> bool:
        """Tell whether the lack of an instruction causes a defect in this task.

        The answer is mostly the same for the same task, whatever the wording of the prompt: two
        prompts that lack the same instruction fail on the same tasks, as a real model's would.

        Args:
            agent: whose prompt lacks it.
            cue: the name of the instruction.
            task: the task.
            probability: the rate of tasks with the defect, from 0 to 1.
        """
        if self.noise.chance(0.15, "mood", cue):
            return self.noise.chance(probability, "habit", cue)
        return Noise(self.seed, agent, cue, task.name).chance(probability)
