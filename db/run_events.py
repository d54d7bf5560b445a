"""The stored events of runs, so that a client that reconnects receives the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from selfheal.db import queries
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_value

_SQL = queries.load("run_events")


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its number in the run, from 1, its name, and its data as JSON."""

    seq: int
    event: str
    data: str


async def append(
    connection: Connection, run_id: UUID, after: int, events: Sequence[tuple[str, str]]
) -> None:
    """Store events and notify waiters. Call it in a transaction that holds the claim.

    Args:
        connection: to the database.
        run_id: the run.
        after: the number of the last stored event.
        events: (name, data as JSON), in order.
    """
    names, data = [name for name, _ in events], [text for _, text in events]
    values = {"id": run_id, "after": after, "events": names, "data": data}
    await connection.execute(_SQL["append"], values)
    await notify(connection, run_id)


async def notify(connection: Connection, run_id: UUID) -> None:
    """Notify the waiters of a run in every process when the transaction ends."""
    await connection.execute(_SQL["notify"], {"id": run_id})


async def notify_cancel(connection: Connection, run_id: UUID) -> None:
    """Notify a run's executor that its claim has a request to cancel."""
    await connection.execute(_SQL["notify_cancel"], {"id": run_id})


async def after(connection: Connection, run_id: UUID, seq: int) -> list[Event]:
    """Return the next events with numbers above `seq`, at most 500 or 4 MB of them."""
    return await fetch_all(connection, _SQL["after"], {"id": run_id, "after": seq}, Event)


async def last(connection: Connection, run_id: UUID) -> int:
    """Return the number of a run's last event, 0 if there is none."""
    return int(await fetch_value(connection, _SQL["last"], {"id": run_id}) or 0)
