"""Combining the checks and the judge's score into a verdict."""

from dataclasses import dataclass

from selfheal.app.judge import Judgement
from selfheal.graph.rules.checks import CheckResults
from selfheal.graph.state import Evaluation, ExecutionReport

_JUST_BELOW = 0.01
_DOUBT = 0.5  # share of the range from threshold to 1, if all inferred examples are broken


@dataclass(frozen=True, slots=True)
class Grading:
    """How a score is computed.

    Attributes:
        rule_weight: the weight of the rules, 0 to 1; the judge has the rest.
        pass_threshold: the score that passes, 0 to 1.
    """

    rule_weight: float = 0.4
    pass_threshold: float = 0.6

    def total(self, rule_score: float, llm_score: float) -> float:
        """Return the weighted score, 0 to 1."""
        return round(self.rule_weight * rule_score + (1 - self.rule_weight) * llm_score, 4)

    def required_mark(self, results: CheckResults) -> float:
        """Return the least judge's score for a pass, 0 to 1.

        It is the threshold, and higher if inferred examples are broken: then either they or the
        program is wrong, and the judge must be more certain. It is 0 if the judge has no weight.
        """
        if self.rule_weight == 1:
            return 0.0
        doubt = _DOUBT * (1 - self.pass_threshold) * results.inferred_broken
        return round(self.pass_threshold + doubt, 4)

    def deciding(self, results: CheckResults, llm_score: float) -> float:
        """Return the score that is compared with the threshold: the lower of total and judge's."""
        total, required = self.total(results.score, llm_score), self.required_mark(results)
        own = llm_score - (required - self.pass_threshold)
        return round(min(total, own), 4) if required else total


def verdict(results: CheckResults, judgement: Judgement | None, grading: Grading) -> Evaluation:
    """Return the verdict; one that does not pass has a score below the threshold.

    Args:
        results: the results of the checks.
        judgement: the judge's; None if the checks have a veto.
        grading: how the score is computed.
    """
    llm_score = judgement.score if judgement else 0.0
    score = grading.total(results.score, llm_score)
    passed = not results.vetoes and grading.deciding(results, llm_score) >= grading.pass_threshold
    reasons = [*results.vetoes, *(judgement.reasons if judgement else [])]
    if not passed and score >= grading.pass_threshold:
        score = max(grading.pass_threshold - _JUST_BELOW, 0.0)
        if not results.vetoes:
            required = grading.required_mark(results)
            reasons.insert(
                0, f"The judge's mark is {llm_score:.2f}; a pass requires {required:.2f}."
            )
    return Evaluation(
        score=score,
        rule_score=round(results.score, 4),
        llm_score=None if judgement is None else round(judgement.score, 4),
        passed=passed,
        checks=results.checks(),
        reasons=reasons,
        execution=_report(results),
    )


def _report(results: CheckResults) -> ExecutionReport:
    execution = results.execution
    return ExecutionReport(
        backend=execution.backend,
        status=execution.status,
        detail=execution.detail,
        seconds=round(execution.seconds, 3),
    )
