"""What the running server knows and the control endpoint can change."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from selfheal.simulator.bank import Bank
from selfheal.simulator.call import Call
from selfheal.simulator.faults import Fault
from selfheal.simulator.noise import Noise
from selfheal.simulator.scenarios import SCENARIOS, Scenario
from selfheal.simulator.world import Character, Setting

# Beyond this many different calls the counting of repetitions starts afresh.
_REMEMBERED = 1_000_000


class State:
    """Scenario, seed, faults and counts of one server."""

    def __init__(self, bank: Bank, scenario: str = "sound", seed: int = 0) -> None:
        self.bank = bank
        self.scenario = scenario
        self.seed = seed
        self.reset()

    def reset(self) -> None:
        """Forget counts, repetitions, faults and settings; scenario and seed stay."""
        self.faults: tuple[Fault, ...] = ()
        self.latency_seconds = 0.0
        self.slips: float | None = None
        self.judge_sigma: float | None = None
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._repeats: Counter[tuple[str, str]] = Counter()
        self._world_faults = tuple(fault.fresh() for fault in self.world.faults)

    def change(self, wanted: Mapping[str, Any]) -> None:
        """Set what is named; a scenario begins with its faults' counts at nought."""
        for name, value in wanted.items():
            setattr(self, name, value)
        self._world_faults = tuple(fault.fresh() for fault in self.world.faults)

    @property
    def world(self) -> Scenario:
        """The scenario's definition."""
        return SCENARIOS[self.scenario]

    @property
    def character(self) -> Character:
        """How the model is, with the rate of slips and the judge's scatter that were set."""
        given = self.world.character
        if self.slips is not None:
            given = given.with_slips(self.slips)
        return given if self.judge_sigma is None else given.with_judge_sigma(self.judge_sigma)

    def setting(self, call: Call) -> Setting:
        """Return what this call's answer draws on; its n-th repetition draws anew."""
        return Setting(self.bank, self._noise("answer", call), self.seed, self.character)

    def strike(self, call: Call) -> Fault | None:
        """Return the fault that strikes this call, if any."""
        found = (*self.faults, *self._world_faults)
        draw = self._noise("fault", call).draw() if found else 0.0
        return next((each for each in found if each.strikes(call.persona, call.model, draw)), None)

    def count(self, persona: str, outcome: str) -> None:
        """Count one call."""
        self.counts[persona][outcome] += 1

    def _noise(self, purpose: str, call: Call) -> Noise:
        key = str(Noise(call.system, call.stable_text, call.persona).draw())
        if len(self._repeats) > _REMEMBERED:
            self._repeats.clear()
        self._repeats[purpose, key] += 1
        return Noise(self.seed, purpose, key, self._repeats[purpose, key])
