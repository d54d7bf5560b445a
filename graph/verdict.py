"""How facts and the judge's opinion make one verdict."""

from dataclasses import dataclass

from graph.judge import Judgement
from graph.rules.facts import Facts
from graph.state import Evaluation, ExecutionReport

_JUST_BELOW = 0.01


@dataclass(frozen=True, slots=True)
class Grading:
    """The rules' share of the score, the judge having the rest, and the score that passes."""

    rule_weight: float = 0.4
    pass_threshold: float = 0.6

    def total(self, rule_score: float, llm_score: float) -> float:
        """Return the score of both, from 0 to 1."""
        return round(self.rule_weight * rule_score + (1 - self.rule_weight) * llm_score, 4)


def verdict(facts: Facts, judgement: Judgement | None, grading: Grading) -> Evaluation:
    """Join facts and judgement. A veto caps the score just below the threshold."""
    score = grading.total(facts.score, judgement.score if judgement else 0.0)
    if facts.vetoes:
        score = max(min(score, grading.pass_threshold - _JUST_BELOW), 0.0)
    return Evaluation(
        score=score,
        rule_score=round(facts.score, 4),
        llm_score=None if judgement is None else round(judgement.score, 4),
        passed=not facts.vetoes and score >= grading.pass_threshold,
        checks=facts.checks(),
        reasons=[*facts.vetoes, *(judgement.reasons if judgement else [])],
        execution=_report(facts),
    )


def _report(facts: Facts) -> ExecutionReport:
    execution = facts.execution
    return ExecutionReport(
        backend=execution.backend,
        status=execution.status,
        detail=execution.detail,
        seconds=round(execution.seconds, 3),
    )
