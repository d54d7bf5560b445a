"""What is counted when a run has ended: once, by the process whose result was recorded."""

from typing import Final

from prometheus_client import Counter, Histogram

from selfheal.db.runs import Finish
from selfheal.graph.nodes import SECONDS

_RUNS: Final = (
    ("success", "ok"),
    ("success", "failed"),
    *(("error", each) for each in ("output", "request", "model", "evaluation", "infrastructure")),
    ("timeout", "infrastructure"),
    ("interrupted", "none"),
)
_TENTHS: Final = tuple(tenth / 10 for tenth in range(1, 11))

RUNS: Final = Counter(
    "selfheal_runs_total",
    "Runs of the agent that ended. `outcome` says what was wrong: `ok` and `failed` have a"
    " verdict, the others none.",
    ("status", "outcome"),
)
RUN_SECONDS: Final = Histogram(
    "selfheal_run_duration_seconds",
    "How long runs were executed, in the process that ended them.",
    buckets=SECONDS,
)
RUNS_RECOVERED: Final = Counter(
    "selfheal_runs_recovered_total",
    "Runs that were gone on with after another process had begun them and died or was stopped.",
)
EVALUATION_SCORE: Final = Histogram(
    "selfheal_evaluation_score",
    "Scores of runs, 0 to 1: of the rules, of the judge, and both together.",
    ("kind",),
    buckets=_TENTHS,
)
EVALUATIONS: Final = Counter("selfheal_evaluations_total", "Verdicts on runs.", ("passed",))
for _status, _outcome in _RUNS:
    RUNS.labels(_status, _outcome)
for _kind in ("total", "rule", "llm"):
    EVALUATION_SCORE.labels(_kind)
for _passed in ("true", "false"):
    EVALUATIONS.labels(_passed)

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
