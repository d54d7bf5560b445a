"""What is counted when a run has ended: once, by the process whose result was recorded."""

from db.runs import Finish
from graph.metrics import EVALUATION_SCORE, EVALUATIONS, RUN_SECONDS, RUNS, RUNS_RECOVERED

_SCORES = {"total": "score", "rule": "rule_score", "llm": "llm_score"}


def recovered() -> None:
    """Count a run that another process had begun."""
    RUNS_RECOVERED.inc()


def observe(finish: Finish, seconds: float) -> None:
    """Count an ended run, executed here for so long."""
    RUNS.labels(finish.status, finish.outcome or "none").inc()
    RUN_SECONDS.observe(seconds)
    if finish.evaluation is not None:
        EVALUATIONS.labels(str(finish.evaluation["passed"]).lower()).inc()
        for kind, key in _SCORES.items():
            if (score := finish.evaluation.get(key)) is not None:
                EVALUATION_SCORE.labels(kind).observe(score)
