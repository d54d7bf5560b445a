"""Faults that can be injected into calls: of which kind, for which calls, how often."""

import itertools
from dataclasses import dataclass, field, fields, replace
from typing import Any

KINDS = {
    "rate-limit": "429 RESOURCE_EXHAUSTED with RetryInfo",
    "unavailable": "503 UNAVAILABLE",
    "internal": "500 INTERNAL",
    "retired": "404 NOT_FOUND, the model is gone",
    "no-access": "403 PERMISSION_DENIED",
    "slow": "the answer comes `seconds` late",
    "cut-stream": "the connection closes in the middle of the answer",
    "truncation": "the text is cut, finishReason MAX_TOKENS",
    "safety-block": "promptFeedback.blockReason, no candidates",
    "safety-finish": "finishReason SAFETY, no parts",
    "invalid-json": "a structured answer is broken JSON",
    "invalid-body": "the 200 body is no JSON",
    "empty": "an answer without text",
    "babble": "prose that keeps to no schema and holds no code",
}
PERSONAS = ("worker", "manager", "judge", "diagnostician", "writer", "generic")


class FaultError(ValueError):
    """The description of a fault is invalid."""


@dataclass(frozen=True)
class Fault:
    """One fault: its kind, and the calls that it applies to. Conditions that are None always hold.

    Attributes:
        kind: a key of `KINDS`.
        persona: only calls of this persona.
        model: only calls of this model.
        probability: from 0 to 1.
        times: how often it applies at most.
        first: of every `of` calls only the first ones.
        of: see `first`.
        seconds: the delay of the kind `slow`.
        retry_delay: the delay in RetryInfo, in seconds.
    """

    kind: str
    persona: str | None = None
    model: str | None = None
    probability: float = 1.0
    times: int | None = None
    first: int | None = None
    of: int | None = None
    seconds: float = 5.0
    retry_delay: float = 2.0
    _struck: "itertools.count[int]" = field(default_factory=itertools.count, init=False)
    _seen: "itertools.count[int]" = field(default_factory=itertools.count, init=False)

    def strikes(self, persona: str, model: str, draw: float) -> bool:
        """Tell whether the fault applies to this call, and count the call."""
        if self.persona not in {None, persona} or self.model not in {None, model}:
            return False
        seen = next(self._seen)
        if self.of is not None and seen % self.of >= (self.first or 1):
            return False
        if draw >= self.probability:
            return False
        return self.times is None or next(self._struck) < self.times

    def fresh(self) -> "Fault":
        """Return the same fault with its counts reset."""
        return replace(self)

    def shown(self) -> dict[str, Any]:
        """Return the fault as the control endpoint accepts it."""
        return {name: getattr(self, name) for name in _named() if getattr(self, name) is not None}


def _named() -> list[str]:
    return [item.name for item in fields(Fault) if not item.name.startswith("_")]


def parse_fault(row: object) -> Fault:
    """Parse a fault as the control endpoint accepts it.

    Raises:
        FaultError: the fault is invalid; the message is a sentence for the client.
    """
    if not isinstance(row, dict):
        raise FaultError("A fault must be an object with a `kind`.")
    known = _named()
    unknown = sorted(set(row) - set(known))
    if unknown:
        raise FaultError(f"A fault has no `{unknown[0]}`; it has: {', '.join(known)}.")
    if row.get("kind") not in list(KINDS):
        raise FaultError(
            f"There is no fault of kind {row.get('kind')!r}; kinds: {', '.join(KINDS)}."
        )
    if row.get("persona") not in [None, *PERSONAS]:
        raise FaultError(f"No persona {row['persona']!r}; personas: {', '.join(PERSONAS)}.")
    for name in ("probability", "times", "first", "of", "seconds", "retry_delay"):
        _check_number(name, row)
    return Fault(**row)


def _check_number(name: str, row: dict[str, Any]) -> None:
    whole = name in {"times", "first", "of"}
    value: Any = row.get(name, 1)
    if value is None and whole:
        return
    good = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not good or value < (1 if name == "of" else 0):
        raise FaultError(f"`{name}` must be a {'whole ' * whole}number that is not negative.")
