"""The state of the running server; the control endpoint can change it."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from selfheal.simulator.answer_context import AnswerContext, ModelBehaviour
from selfheal.simulator.bank import Bank
from selfheal.simulator.call import Call
from selfheal.simulator.faults import Fault
from selfheal.simulator.scenarios import SCENARIOS, Scenario
from selfheal.simulator.seeded_noise import Noise

# With more different calls than this, the counts of repetitions are cleared.
_MOST_COUNTED = 1_000_000


class State:
    """The scenario, seed, faults and counts of one server."""

    def __init__(self, bank: Bank, scenario: str = "sound", seed: int = 0) -> None:
        self.bank = bank
        self.scenario = scenario
        self.seed = seed
        self.reset()

    def reset(self) -> None:
        """Clear counts, repetitions, faults and settings; keep scenario and seed."""
        self.faults: tuple[Fault, ...] = ()
        self.latency_seconds = 0.0
        self.slips: float | None = None
        self.judge_sigma: float | None = None
        self.judge_bias = 0.0
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._repeats: Counter[tuple[str, str]] = Counter()
        self._scenario_faults = tuple(fault.fresh() for fault in self.scenario_definition.faults)

    def change(self, wanted: Mapping[str, Any]) -> None:
        """Set attributes by name, and reset the counts of the scenario's faults."""
        for name, value in wanted.items():
            setattr(self, name, value)
        self._scenario_faults = tuple(fault.fresh() for fault in self.scenario_definition.faults)

    @property
    def scenario_definition(self) -> Scenario:
        """The scenario's definition."""
        return SCENARIOS[self.scenario]

    @property
    def behaviour(self) -> ModelBehaviour:
        """The behaviour of the model: the scenario's, with the settings that were changed."""
        given = self.scenario_definition.behaviour
        slips = given.slips if self.slips is None else self.slips
        sigma = given.judge_sigma if self.judge_sigma is None else self.judge_sigma
        return replace(given, slips=slips, judge_sigma=sigma, judge_bias=self.judge_bias)

    def answer_context(self, call: Call) -> AnswerContext:
        """Return the inputs of the answer to a call; each repetition has its own noise."""
        return AnswerContext(self.bank, self._noise("answer", call), self.seed, self.behaviour)

    def next_fault(self, call: Call) -> Fault | None:
        """Return the fault for this call, if any."""
        faults = (*self.faults, *self._scenario_faults)
        draw = self._noise("fault", call).draw() if faults else 0.0
        return next(
            (fault for fault in faults if fault.strikes(call.persona, call.model, draw)), None
        )

    def count_call(self, persona: str, outcome: str) -> None:
        """Count one call."""
        self.counts[persona][outcome] += 1

    def _noise(self, purpose: str, call: Call) -> Noise:
        key = str(Noise(call.system, call.stable_text, call.persona).draw())
        if len(self._repeats) > _MOST_COUNTED:
            self._repeats.clear()
        self._repeats[purpose, key] += 1
        return Noise(self.seed, purpose, key, self._repeats[purpose, key])
