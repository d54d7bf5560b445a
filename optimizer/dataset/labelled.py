"""Cases of the evaluator: programs whose mark is known, from golden verdicts and from people."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Final, cast

from selfheal.db.runs import Run
from selfheal.graph.state import Plan
from selfheal.optimizer.dataset.cases import case_of
from selfheal.optimizer.dataset.golden_verdicts import GoldenVerdict
from selfheal.optimizer.dataset.split import alike, digest, distinct, fingerprint, sticky_share
from selfheal.optimizer.state import Case, Split
from selfheal.optimizer.text.similarity import words

PEOPLE: Final = "people"
# Of 3,000 salts the one that spreads the kinds of golden verdicts most evenly over the sides; only
# their kinds were looked at, no judge's answers.
_SALT: Final = "1013"
_TRAIN: Final = 0.4
_HOLD_OUT: Final = 0.8  # more than of runs: there are no others to top it up


def golden_case(golden: GoldenVerdict) -> Case:
    """Make a case of a golden verdict."""
    return Case(
        id=f"verdict:{golden.id}",
        source="golden",
        request=golden.work.request,
        examples=[],
        plan=golden.work.plan,
        code=golden.work.code,
        mark=golden.mark,
        kind=golden.kind,
    )


def people_case(run: Run, mark: float) -> Case:
    """Make a case of a run that people marked; what its own judge said is left out."""
    plan = cast("Plan", run.plan or {})
    return Case(
        id=f"people:{case_of(run)['id']}",
        source="production",
        request=run.request,
        examples=[],
        plan=plan,
        code=run.code or "",
        mark=mark,
        kind=PEOPLE,
    )


def split_marked(
    golden: Sequence[Case], people: Sequence[Case], looks: Mapping[str, int] | None = None
) -> Split:
    """Divide into train (40 %), hold-out (40 %) and regression (20 %) by the request's hash.

    Programs for one request stay together. On each side the kinds take turns, so that whoever
    looks at the first few has seen them all.

    Args:
        golden: the golden verdicts.
        people: what people marked; one of near-duplicates is kept, none like a golden request.
        looks: how many earlier gates looked at a case.
    """
    looks = looks or {}
    own = [case for case in distinct(people) if not any(alike(case, each) for each in golden)]
    sides: tuple[list[Case], list[Case], list[Case]] = ([], [], [])
    for case in (*golden, *own):
        share = sticky_share(" ".join((_SALT, *words(case["request"]))))
        sides[0 if share < _TRAIN else 1 if share < _HOLD_OUT else 2].append(case)
    train, hold_out, regression = map(_by_turns, sides)
    return Split(
        train=train,
        hold_out=hold_out,
        regression=regression,
        fingerprint=fingerprint(train, hold_out, regression),
        looks={case["id"]: looks[case["id"]] for case in hold_out if looks.get(case["id"])},
        pinned=[],
    )


def _by_turns(cases: Iterable[Case]) -> list[Case]:
    """Order cases so that one of each kind comes, then another of each."""
    kinds: dict[str, list[Case]] = defaultdict(list)
    for case in sorted(cases, key=lambda each: digest(each["id"])):
        kinds[case["kind"]].append(case)
    turns = zip_longest(*(kinds[kind] for kind in sorted(kinds)))
    return [case for case in chain.from_iterable(turns) if case is not None]
