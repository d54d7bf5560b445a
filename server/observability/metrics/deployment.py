"""Metrics of the whole deployment: read from Postgres, told by one process of it."""

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
from selfheal.db.prompts import Action
from selfheal.db.types import AGENTS
from selfheal.optimizer.state import Outcome as PassOutcome

logger = logging.getLogger(__name__)

BY_CRONJOB: Final = 600.0  # seconds between two passes that a CronJob makes, as in deploy/
_LEASE: Final = 30.0  # seconds; who is not scraped for so long leaves it to another process
_HEALINGS: Final = tuple(product(AGENTS, get_args(HealingOutcome)))
_RELEASES: Final = tuple(product(AGENTS, get_args(Action)))
_PASSES: Final = tuple((each,) for each in (*get_args(PassOutcome), "error"))


class Deployment:
    """Collects how the deployment stands, while this process is the one that tells it.

    Args:
        interval: seconds between two passes of the optimizer.
    """

    def __init__(self, database: Database, interval: float) -> None:
        self._database = database
        self._interval = interval
        self._holder = uuid4()
        self._standing: DeploymentStats | None = None

    async def refresh(self) -> None:
        """Read anew, if it is this process that tells; forget what was read, if not."""
        self._standing = None
        try:
            async with self._database.connection() as connection:
                if await deployment_stats.lead(connection, self._holder, _LEASE):
                    self._standing = await deployment_stats.collect_deployment(connection)
        except DatabaseError as error:
            logger.warning("metrics of the deployment are missing: %s", error)

    def collect(self) -> Iterator[Metric]:
        """Yield what was read."""
        if self._standing:
            yield from families(self._standing, self._interval)


def families(standing: DeploymentStats, interval: float) -> Iterator[Metric]:
    """Yield a deployment's metrics."""
    yield from _prompts(standing)
    yield from _healing(standing, interval)
    yield _gauge("queue_depth", "Runs that wait for a process.", standing.queue_depth)
    yield _gauge(
        "queue_oldest_age_seconds", "How long the first of them has waited.", standing.queue_oldest
    )


def _prompts(standing: DeploymentStats) -> Iterator[Metric]:
    version = GaugeMetricFamily(
        "selfheal_prompt_active_version",
        "The prompt version that is live; beside a canary, the one that the others have.",
        labels=("agent",),
    )
    canary = GaugeMetricFamily(
        "selfheal_prompt_canary_percent",
        "The share of the threads that try a newer version; 0 where no canary is under way.",
        labels=("agent",),
    )
    for row in standing.live:
        version.add_metric((row["agent"],), row["version"])
        canary.add_metric((row["agent"],), row["canary_percent"])
    yield from (version, canary)
    what = "Releases since the beginning."
    keys = ("agent", "action")
    yield _counted("releases", what, keys, _RELEASES, standing.releases)


def _healing(standing: DeploymentStats, interval: float) -> Iterator[Metric]:
    what = "Healings that ended, since the beginning."
    yield _counted("healings", what, ("agent", "outcome"), _HEALINGS, standing.healings)
    what = "Passes of the optimizer since the beginning, CronJobs included; `error` where it broke."
    yield _counted("optimizer_runs", what, ("outcome",), _PASSES, standing.passes, "passes")
    yield _gauge(
        "optimizer_last_success_timestamp_seconds",
        "When a pass last ended without an error; before the first, when anybody first asked.",
        standing.last_success,
    )
    yield _gauge("optimizer_interval_seconds", "Seconds between two passes.", interval)
    yield _gauge("healing_paused", "1 while a person has put healing on hold.", standing.paused)
    yield _gauge(
        "healing_frozen", "1 while healing stands still for a judge that drifted.", standing.frozen
    )
    yield _gauge("evaluator_drifted", "1 if the judge's newest check says so.", standing.drifted)
    if standing.agreement is not None:
        what = "The judge's agreement with golden verdicts when it was last asked, 0 to 1."
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
    """Return a counter, its children from the start: a first one would be no increase else."""
    counts: Mapping[Any, int] = {
        tuple(row[key] for key in keys): row[count or name] for row in rows
    }
    family = CounterMetricFamily(f"selfheal_{name}", what, labels=keys)
    for labels in sorted({*known, *counts}):
        family.add_metric(labels, counts.get(labels, 0))
    return family
