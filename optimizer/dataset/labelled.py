"""Cases of the evaluator: programs with a known score, from golden verdicts and from feedback."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Final, cast

from selfheal.db.runs import Run
from selfheal.graph.state import Plan
from selfheal.optimizer.dataset.cases import case_from_run
from selfheal.optimizer.dataset.golden_verdicts import GoldenVerdict
from selfheal.optimizer.dataset.split import (
    deduplicate,
    digest,
    fingerprint,
    hash_share,
    similar_requests,
)
from selfheal.optimizer.records.cases import Case, Split
from selfheal.optimizer.text.similarity import words

FEEDBACK: Final = "people"
# Of 3,000 salts the one that distributes the kinds of golden verdicts most evenly over the parts.
# It was chosen by their kinds alone, not by a judge's answers.
_SALT: Final = "1013"
_TRAIN: Final = 0.4
_HOLD_OUT: Final = 0.8  # a larger part than of runs: no other cases can be added to it


def case_from_golden_verdict(golden: GoldenVerdict) -> Case:
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


def case_from_feedback(run: Run, mark: float) -> Case:
    """Make a case of a run that was scored by feedback, without the judge's score of it."""
    plan = cast("Plan", run.plan or {})
    return Case(
        id=f"people:{case_from_run(run)['id']}",
        source="production",
        request=run.request,
        examples=[],
        plan=plan,
        code=run.code or "",
        mark=mark,
        kind=FEEDBACK,
    )


def split_labelled(
    golden: Sequence[Case], people: Sequence[Case], looks: Mapping[str, int] | None = None
) -> Split:
    """Divide into train (40 %), hold-out (40 %) and regression (20 %) by a hash of the request.

    Programs for one request stay together. In each part the kinds alternate, so that its first
    cases are of all kinds.

    Args:
        golden: the cases of golden verdicts.
        people: the cases of feedback. Near-duplicates of each other and of golden verdicts are
            left out.
        looks: how many earlier gates used a case, by its id.
    """
    looks = looks or {}
    own = [
        case
        for case in deduplicate(people)
        if not any(similar_requests(case, other) for other in golden)
    ]
    parts: tuple[list[Case], list[Case], list[Case]] = ([], [], [])
    for case in (*golden, *own):
        share = hash_share(" ".join((_SALT, *words(case["request"]))))
        parts[0 if share < _TRAIN else 1 if share < _HOLD_OUT else 2].append(case)
    train, hold_out, regression = map(_alternating, parts)
    return Split(
        train=train,
        hold_out=hold_out,
        regression=regression,
        fingerprint=fingerprint(train, hold_out, regression),
        looks={case["id"]: looks[case["id"]] for case in hold_out if looks.get(case["id"])},
        pinned=[],
    )


def _alternating(cases: Iterable[Case]) -> list[Case]:
    """Order cases by turns: one of each kind, then another of each."""
    kinds: dict[str, list[Case]] = defaultdict(list)
    for case in sorted(cases, key=lambda member: digest(member["id"])):
        kinds[case["kind"]].append(case)
    turns = zip_longest(*(kinds[kind] for kind in sorted(kinds)))
    return [case for case in chain.from_iterable(turns) if case is not None]
