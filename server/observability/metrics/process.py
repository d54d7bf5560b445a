"""Metrics of one process: the runs that ended in it, and its database connections."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import Counter, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily

from selfheal.db.pool import Database
from selfheal.db.runs import RunResult
from selfheal.graph.nodes import SECONDS

_LABELS: Final = (
    ("success", "ok"),
    ("success", "failed"),
    *(("error", each) for each in ("output", "request", "model", "evaluation", "infrastructure")),
    ("timeout", "infrastructure"),
    ("interrupted", "none"),
)
_TENTHS: Final = tuple(tenth / 10 for tenth in range(1, 11))

RUNS: Final = Counter(
    "selfheal_runs_total",
    "Ended runs, by status and outcome. Only `ok` and `failed` have a verdict.",
    ("status", "outcome"),
)
RUN_SECONDS: Final = Histogram(
    "selfheal_run_duration_seconds",
    "Execution time of runs, in the process that ended them.",
    buckets=SECONDS,
)
RUNS_RECOVERED: Final = Counter(
    "selfheal_runs_recovered_total",
    "Runs resumed after the process executing them died or shut down.",
)
EVALUATION_SCORE: Final = Histogram(
    "selfheal_evaluation_score",
    "Scores of runs, 0 to 1: of the rules, of the judge, and in total.",
    ("kind",),
    buckets=_TENTHS,
)
EVALUATIONS: Final = Counter(
    "selfheal_evaluations_total", "Verdicts on runs: passed or not.", ("passed",)
)
for _status, _outcome in _LABELS:
    RUNS.labels(_status, _outcome)
for _kind in ("total", "rule", "llm"):
    EVALUATION_SCORE.labels(_kind)
for _passed in ("true", "false"):
    EVALUATIONS.labels(_passed)

_SCORES = {"total": "score", "rule": "rule_score", "llm": "llm_score"}


def observe(result: RunResult, seconds: float) -> None:
    """Count a run that ended in this process.

    Args:
        result: how it ended, with its verdict if there is one.
        seconds: its execution time in this process.
    """
    RUNS.labels(result.status, result.outcome or "none").inc()
    RUN_SECONDS.observe(seconds)
    if result.evaluation is not None:
        EVALUATIONS.labels(str(result.evaluation["passed"]).lower()).inc()
        for kind, key in _SCORES.items():
            if (score := result.evaluation.get(key)) is not None:
                EVALUATION_SCORE.labels(kind).observe(score)


class Connections:
    """Collects the state of the connection pool."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """Yield the number of connections by state, and of requests that wait for one."""
        stats = self._database.pool.get_stats()
        idle = stats["pool_available"]
        yield connections(idle, stats["pool_size"] - idle, stats.get("requests_waiting", 0))


def connections(idle: int = 0, used: int = 0, waiting: int = 0) -> Metric:
    """Return the metric of the connection pool."""
    family = GaugeMetricFamily(
        "selfheal_db_pool_connections",
        "Connections to Postgres by state; `waiting`: requests for a connection.",
        labels=("state",),
    )
    for state, count in (("idle", idle), ("used", used), ("waiting", waiting)):
        family.add_metric((state,), count)
    return family
