"""What the running server knows and the control endpoint can change."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from simulator.bank import Bank
from simulator.call import Call
from simulator.faults import Fault
from simulator.noise import Noise
from simulator.scenarios import SCENARIOS, Scenario
from simulator.world import Character, Setting

# Beyond this many different calls the counting of repetitions starts afresh.
_REMEMBERED = 1_000_000


@dataclass
class State:
    """Scenario, seed, faults and counts of one server."""

    bank: Bank
    scenario: str = "sound"
    seed: int = 0
    faults: tuple[Fault, ...] = ()
    latency_seconds: float = 0.0
    slips: float | None = None
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _repeats: Counter[str] = field(default_factory=Counter)

    @property
    def world(self) -> Scenario:
        """The scenario's definition."""
        return SCENARIOS[self.scenario]

    def setting(self, call: Call) -> Setting:
        """Return what this call's answer draws on; its n-th repetition draws anew."""
        key = str(Noise(call.system, call.stable_text, call.persona).draw())
        if len(self._repeats) > _REMEMBERED:
            self._repeats.clear()
        self._repeats[key] += 1
        noise = Noise(self.seed, key, self._repeats[key])
        return Setting(self.bank, noise, self.seed, self._character())

    def strike(self, call: Call) -> Fault | None:
        """Return the fault that strikes this call, if any."""
        number = sum(counter.total() for counter in self.counts.values())
        draw = Noise(self.seed, "fault", number).draw()
        found = (*self.faults, *self.world.faults)
        return next((f for f in found if f.strikes(call.persona, call.model, draw)), None)

    def count(self, persona: str, outcome: str) -> None:
        """Count one call."""
        self.counts[persona][outcome] += 1

    def reset(self) -> None:
        """Forget counts, repetitions and faults."""
        self.counts.clear()
        self._repeats.clear()
        self.faults = ()
        self.latency_seconds = 0.0
        self.slips = None

    def _character(self) -> Character:
        given = self.world.character
        return given if self.slips is None else given.with_noise(self.slips)
