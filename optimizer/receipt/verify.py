"""Verification of a receipt: every decision is recomputed by the functions that made it.

Each is recomputed from what is recorded of those before it. So one figure that was changed shows as
the one decision that does not follow from the rest, and not as all that came after it. Codes and
figures are compared, never sentences.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from selfheal.optimizer.receipt import ablation, decisions, edits, origins
from selfheal.optimizer.receipt.schema import Receipt
from selfheal.optimizer.receipt.stored import Compared, Stored

Section = Callable[[Receipt, Stored], Iterator[Compared]]


@dataclass(frozen=True, slots=True)
class Verification:
    """One decision: as it is recorded, and as it is when it is recomputed; both as plain JSON."""

    what: str
    recorded: object
    recomputed: object

    @property
    def agrees(self) -> bool:
        """Whether both are the same, to the last digit."""
        return bool(self.recorded == self.recomputed)

    def as_json(self) -> dict[str, object]:
        """Return it as `selfheal healings show --replay --json` prints it."""
        return {
            "what": self.what,
            "stored": self.recorded,
            "now": self.recomputed,
            "agrees": self.agrees,
        }


def verify(receipt: Receipt, stored: Stored) -> list[Verification]:
    """Recompute all decisions of a closed healing, in their order.

    Args:
        receipt: as it was read from the healing's row; it need not fit its schema.
        stored: the rows to verify it against.
    """
    return [each for section in _SECTIONS for each in _recomputed(section, receipt, stored)]


def _fits_schema(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Compare the receipt with its schema."""
    try:
        _SCHEMA.validate_python(receipt)
    except ValidationError as error:
        wrong = sorted({".".join(map(str, each["loc"])) for each in error.errors()})
        yield Compared("receipt: schema", [], wrong)
    else:
        yield Compared("receipt: schema", [], [])


_SCHEMA: Final = TypeAdapter(Receipt)

_SECTIONS: Final[tuple[Section, ...]] = (
    _fits_schema,
    origins.rows,
    origins.failures,
    origins.detected,
    origins.judge,
    origins.attributed,
    origins.split,
    decisions.candidates,
    ablation.sentences,
    decisions.screens,
    edits.edits,
    decisions.gates,
    decisions.keeping,
    decisions.last_step,
    ablation.last_step,
    decisions.released,
    decisions.ended,
    origins.costs,
)


def _recomputed(section: Section, receipt: Receipt, stored: Stored) -> Iterator[Verification]:
    """Yield a section's decisions; one that cannot be recomputed disagrees, whatever the cause."""
    try:
        for what, recorded, recomputed in section(receipt, stored):
            yield Verification(what, _plain(recorded), _plain(recomputed))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        why = f"cannot be recomputed: {type(error).__name__}: {error}"
        yield Verification(section.__name__, "the fields of a complete receipt", why)


def _plain(value: Any) -> object:
    """Return a value as JSON has it: a stored list may have been a tuple."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
