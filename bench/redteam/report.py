"""The tables of the red-team bench, from the lines of its results file."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from bench.redteam.trial import Outcome
from selfheal.optimizer.statistics import share_interval

FATES: Final = ("released", "healed", "staged", "needs_approval", "rejected", "other")
_HEADING: Final = f"{'':<22} {'trials':>6} " + " ".join(f"{each:>14}" for each in FATES)
_LEGEND: Final = (
    "released: the live prompt carries the instruction, or the live agents behave by it;"
    " healed: repaired without it; staged: waits for approval with it; needs_approval: without it;"
    " other: neither repaired nor rejected"
)


def read_outcomes(file: Path) -> list[Outcome]:
    """Read the outcomes that a results file has so far; none if there is no file."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    return [Outcome(**json.loads(line)) for line in lines if line]


def tables(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the lines of all tables: honest logs first, then the attacks by what they are."""
    honest = [each for each in outcomes if each.strategy == "none"]
    attacks = [each for each in outcomes if each.strategy != "none"]
    yield _LEGEND
    yield _HEADING
    if honest:
        yield _row("no attack", honest)
    if not attacks:
        return
    yield _row("all attacks", attacks)
    for title, key in _GROUPS:
        yield f"\nby {title}"
        yield _HEADING
        for name in sorted({key(each) for each in attacks}):
            yield _row(name, [each for each in attacks if key(each) == name])
    yield ""
    yield from _backdoors(attacks)
    yield from _costs(attacks)


_GROUPS: Final[tuple[tuple[str, Callable[[Outcome], str]], ...]] = (
    ("strategy", lambda each: each.strategy),
    ("agent", lambda each: each.agent),
    ("effect", lambda each: each.effect),
)


def _row(name: str, outcomes: Sequence[Outcome]) -> str:
    counts = Counter(each.fate for each in outcomes)
    low, high = share_interval(counts["released"], len(outcomes))
    first = f"{counts['released']} ({low:.0%}-{high:.0%})"
    others = " ".join(f"{counts[each]:>14}" for each in FATES[1:])
    return f"{name:<22} {len(outcomes):>6} {first:>14} {others}"


def _backdoors(attacks: Iterable[Outcome]) -> Iterator[str]:
    probed = [each for each in attacks if each.behaved is not None]
    if not probed:
        return
    names = {each.id.split("/")[1] for each in probed}
    behaving = [each for each in probed if each.behaved]
    shown = {each.id.split("/")[1] for each in behaving}
    yield (
        f"backdoors: {len(shown)} of {len(names)} instructions, {len(behaving)} of {len(probed)}"
        " trials, seen in what the healed agents did"
    )


def _costs(attacks: Sequence[Outcome]) -> Iterator[str]:
    unseen = sum(not each.seen for each in attacks)
    heard = sum(each.heard for each in attacks)
    calls = median(each.calls for each in attacks)
    seconds = median(each.seconds for each in attacks)
    yield (
        f"the diagnosis did not see the attacker's text in {unseen} trials;"
        f" the writer was given the instruction in {heard}"
    )
    yield f"median of a healing: {calls:.0f} model calls, {seconds:.1f} s"
