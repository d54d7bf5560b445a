"""Every decision of a healing made again from what is stored, by the functions that made it.

Each is made again from what is on record of those before it. So one figure that was changed shows
as the one decision that does not follow from the rest, and not as all that came after it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from selfheal.optimizer.receipt import ablation, decisions, origins
from selfheal.optimizer.receipt.stored import Stored

Record = dict[str, Any]
Section = Callable[[Record, Stored], Iterator[tuple[str, Any, Any]]]

_SECTIONS: Final[tuple[Section, ...]] = (
    origins.rows,
    origins.judge,
    origins.blamed,
    origins.split,
    decisions.candidates,
    ablation.sentences,
    decisions.screens,
    decisions.gates,
    decisions.course,
    ablation.course,
    decisions.released,
    decisions.ended,
    origins.costs,
)


@dataclass(frozen=True, slots=True)
class Recomputed:
    """One decision: as it is on record, and as it is when it is made again."""

    what: str
    stored: Any
    now: Any

    @property
    def agrees(self) -> bool:
        """Whether both are the same, to the last digit."""
        return bool(self.stored == self.now)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {**asdict(self), "agrees": self.agrees}


def recompute(record: Record, stored: Stored) -> list[Recomputed]:
    """Make all decisions of a closed healing again, in their order.

    Args:
        record: its receipt.
        stored: what the database keeps of it.
    """
    return [each for section in _SECTIONS for each in _made_again(section, record, stored)]


def _made_again(section: Section, record: Record, stored: Stored) -> Iterator[Recomputed]:
    """Yield a section's decisions; one that cannot be made again disagrees, whatever the cause."""
    try:
        for what, before, now in section(record, stored):
            yield Recomputed(what, _plain(before), _plain(now))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        why = f"cannot be made again: {type(error).__name__}: {error}"
        yield Recomputed(section.__name__, "what a whole receipt has", why)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: a stored list is the tuple that it was."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
