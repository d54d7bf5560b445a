"""What screening decides from trials on training cases."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent, Trial
from selfheal.optimizer.state import Count, Screening, ScreenResult

# Training cases each. A case of the evaluator costs one call, and its candidates differ by little.
CASES: Final[dict[Agent, int]] = {"worker": 6, "manager": 4, "evaluator": 24}
LEAST_AGREEMENT: Final = 0.7  # a judge's candidate must be right, not merely better than before

Results = Mapping[int, Sequence[Trial]]
"""The verdicts of each candidate, by its ordinal."""


def bar(agent: Agent, usual: Count | None) -> float:
    """Return the share of training cases that a survivor must pass at least; 0: any one.

    Args:
        agent: whose prompt it is.
        usual: what the judge used to agree on, as (agreed, asked); None if unknown.
    """
    if agent != "evaluator":
        return 0.0
    agreed, asked = usual or (1, 1)
    return min(LEAST_AGREEMENT, agreed / asked)


def survivor(results: Results, proven: Collection[int], least: float) -> int | None:
    """Return the best: most passes, then what did well before, then score; None if all fail.

    Args:
        results: what each candidate came to.
        proven: the candidates that were live before; of equals they win.
        least: the share of cases to pass, as `bar` returns it.
    """

    def merit(arm: int) -> tuple[float, bool, float, int]:
        passed, score = _rates(results[arm])
        return passed, arm in proven, score, -arm

    ranked = sorted(results, key=merit, reverse=True)
    return next((arm for arm in ranked if _rates(results[arm])[0] >= max(least, 1e-9)), None)


def lost(result: ScreenResult) -> Reason:
    """Return why a candidate did not survive."""
    return because("screening_lost", passed=result["passed"], of=result["of"])


def report(results: Results, proven: Collection[int], least: float) -> Screening:
    """Return what a screening came to, for the receipt. Takes what `survivor` takes."""
    return Screening(
        bar=round(least, 4),
        results=[
            ScreenResult(
                ordinal=arm,
                passed=sum(trial.passed for trial in trials),
                of=len(trials),
                score=round(_rates(trials)[1], 4),
            )
            for arm, trials in sorted(results.items())
        ],
        survivor=survivor(results, proven, least),
    )


def _rates(trials: Sequence[Trial]) -> tuple[float, float]:
    """Return (share passed, mean score), each 0 to 1."""
    count = max(len(trials), 1)
    return (
        sum(trial.passed for trial in trials) / count,
        sum(trial.score for trial in trials) / count,
    )
