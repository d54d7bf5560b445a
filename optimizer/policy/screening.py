"""What the screen decides from trials on train cases: pure, so it can be recomputed."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from selfheal.db.types import Agent, Trial

# Train cases each. A case of the evaluator costs one call, and one candidate is rarely all wrong.
CASES: Final[dict[Agent, int]] = {"worker": 6, "manager": 4, "evaluator": 24}
LEAST_AGREEMENT: Final = 0.7  # what judges must be right, not merely better than it was

Results = Mapping[int, Sequence[Trial]]
"""The verdicts of each candidate, by its ordinal."""


def bar(agent: Agent, usual: Sequence[int] | None) -> float:
    """Return the share of train cases that a survivor must pass at least; 0: any one.

    Args:
        agent: whose prompt it is.
        usual: what the judge used to agree on, as (agreed, asked), if known.
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
        least: the share of cases to pass, as `bar` gives it.
    """

    def merit(arm: int) -> tuple[float, bool, float, int]:
        passed, score = _merit(results[arm])
        return passed, arm in proven, score, -arm

    ranked = sorted(results, key=merit, reverse=True)
    return next((arm for arm in ranked if _merit(results[arm])[0] >= max(least, 1e-9)), None)


def lost(passed: int, of: int) -> str:
    """Say why a candidate lost."""
    return f"passed {passed} of {of} train cases"


def report(results: Results, proven: Collection[int], least: float) -> dict[str, Any]:
    """Return what a screen has come to, for the receipt."""
    return {
        "bar": round(least, 4),
        "results": [
            {
                "ordinal": arm,
                "passed": sum(trial.passed for trial in trials),
                "of": len(trials),
                "score": round(_merit(trials)[1], 4),
            }
            for arm, trials in sorted(results.items())
        ],
        "survivor": survivor(results, proven, least),
    }


def _merit(trials: Sequence[Trial]) -> tuple[float, float]:
    count = max(len(trials), 1)
    return (
        sum(trial.passed for trial in trials) / count,
        sum(trial.score for trial in trials) / count,
    )
