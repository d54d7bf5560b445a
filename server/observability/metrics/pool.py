"""The connections of this process."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from selfheal.db.pool import Database


class Connections:
    """Collects what the pool's connections do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """Yield the connections by state, and who waits for one."""
        found = self._database.pool.get_stats()
        idle = found["pool_available"]
        yield family(idle, found["pool_size"] - idle, found.get("requests_waiting", 0))


def family(idle: int = 0, used: int = 0, waiting: int = 0) -> Metric:
    """Return the pool's metric."""
    found = GaugeMetricFamily(
        "selfheal_db_pool_connections",
        "Connections to Postgres, and requests that wait for one.",
        labels=("state",),
    )
    for state, count in (("idle", idle), ("used", used), ("waiting", waiting)):
        found.add_metric((state,), count)
    return found
