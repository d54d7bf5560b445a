"""Metrics of the whole deployment, read from Postgres and exposed by one process."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Final, get_args
from uuid import uuid4

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from selfheal.db import deployment_stats
from selfheal.db.deployment_stats import DeploymentStats, Row
from selfheal.db.errors import DatabaseError
from selfheal.db.healings import Outcome as HealingOutcome
from selfheal.db.pool import Database
from selfheal.db.types import AGENTS, Action
from selfheal.optimizer.state import Outcome as PassOutcome

logger = logging.getLogger(__name__)

CRONJOB_INTERVAL: Final = 600.0  # seconds between two passes by a CronJob, as in deploy/
_LEASE: Final = 30.0  # seconds without a scrape, after which another process exposes them
_HEALINGS: Final = tuple(product(AGENTS, get_args(HealingOutcome)))
_RELEASES: Final = tuple(product(AGENTS, get_args(Action)))
_PASS_OUTCOMES: Final = tuple((each,) for each in (*get_args(PassOutcome), "error"))


class Deployment:
    """Collects the deployment's metrics while this process is the one that exposes them.

    Args:
        interval: seconds between two passes of the optimizer.
    """

    def __init__(self, database: Database, interval: float) -> None:
        self._database = database
        self._interval = interval
        self._holder = uuid4()
        self._standing: DeploymentStats | None = None

    async def refresh(self) -> None:
        """Read the metrics if this process exposes them; drop them if not."""
        self._standing = None
        try:
            async with self._database.connection() as connection:
                if await deployment_stats.acquire_lead(connection, self._holder, _LEASE):
                    self._standing = await deployment_stats.collect(connection)
        except DatabaseError as error:
            logger.warning("the deployment's metrics could not be read: %s", error)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that were read."""
        if self._standing:
            yield from families(self._standing, self._interval)


def families(standing: DeploymentStats, interval: float) -> Iterator[Metric]:
    """Yield a deployment's metrics."""
    yield from _prompts(standing)
    yield from _healing(standing, interval)
    yield _gauge("queue_depth", "Runs that wait to be executed.", standing.queue_depth)
    yield _gauge(
        "queue_oldest_age_seconds",
        "Waiting time of the oldest run in the queue, in seconds.",
        standing.queue_oldest,
    )


def _prompts(standing: DeploymentStats) -> Iterator[Metric]:
    version = GaugeMetricFamily(
        "selfheal_prompt_active_version",
        "The live prompt version; during a canary, the version of the other threads.",
        labels=("agent",),
    )
    canary = GaugeMetricFamily(
        "selfheal_prompt_canary_percent",
        "Percentage of threads with the canary's version; 0 without a canary.",
        labels=("agent",),
    )
    for row in standing.live:
        version.add_metric((row["agent"],), row["version"])
        canary.add_metric((row["agent"],), row["canary_percent"])
    yield from (version, canary)
    what = "Prompt releases, by agent and action."
    keys = ("agent", "action")
    yield _counted("releases", what, keys, _RELEASES, standing.releases)


def _healing(standing: DeploymentStats, interval: float) -> Iterator[Metric]:
    what = "Ended healings, by agent and outcome."
    yield _counted("healings", what, ("agent", "outcome"), _HEALINGS, standing.healings)
    what = "Optimizer passes by outcome, including those of CronJobs; `error`: the pass failed."
    yield _counted("optimizer_runs", what, ("outcome",), _PASS_OUTCOMES, standing.passes, "passes")
    yield _gauge(
        "optimizer_last_success_timestamp_seconds",
        "Unix time of the last successful optimizer pass; time of first scrape if there was none.",
        standing.last_success,
    )
    yield _gauge(
        "optimizer_interval_seconds",
        "Interval between two scheduled optimizer passes, in seconds.",
        interval,
    )
    yield _gauge("healing_paused", "1 while healing is paused by an operator.", standing.paused)
    yield _gauge(
        "healing_frozen",
        "1 while healing is stopped because the judge has drifted.",
        standing.frozen,
    )
    yield _gauge(
        "evaluator_drifted",
        "1 while the judge's flag stands: it has drifted, and has not recovered.",
        standing.drifted,
    )
    if standing.agreement is not None:
        what = "The judge's agreement with golden verdicts in its last check, 0 to 1."
        yield _gauge("evaluator_agreement", what, standing.agreement)


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"selfheal_{name}", what, value)


def _counted(
    name: str,
    what: str,
    keys: Sequence[str],
    known: Sequence[tuple[str, ...]],
    rows: Sequence[Row],
    count: str = "",
) -> Metric:
    """Return a counter with all known series, so that the first increase of each is visible.

    Args:
        name: without prefix and suffix.
        what: the help text.
        keys: the labels.
        known: the values of the labels that exist from the start.
        rows: the counts.
        count: the column with the count; `name` by default.
    """
    counts: Mapping[Any, int] = {
        tuple(row[key] for key in keys): row[count or name] for row in rows
    }
    family = CounterMetricFamily(f"selfheal_{name}", what, labels=keys)
    for labels in sorted({*known, *counts}):
        family.add_metric(labels, counts.get(labels, 0))
    return family
