"""What runs streamed, kept so that a client that comes back gets the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from selfheal.db import queries
from selfheal.db.pool import Connection
from selfheal.db.queries import fetch_all, fetch_value

_SQL = queries.load("run_events")


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream: its number in the run, from 1, its name, and its data as JSON."""

    seq: int
    event: str
    data: str


async def append(
    connection: Connection, run_id: UUID, after: int, events: Sequence[tuple[str, str]]
) -> None:
    """Store events behind number `after`, and wake who waits. Call it with the claim held."""
    names, data = [name for name, _ in events], [text for _, text in events]
    values = {"id": run_id, "after": after, "events": names, "data": data}
    await connection.execute(_SQL["append"], values)
    await tell(connection, run_id)


async def tell(connection: Connection, run_id: UUID) -> None:
    """Wake whoever waits for news of a run, in every process, once the transaction ends."""
    await connection.execute(_SQL["tell"], {"id": run_id})


async def tell_to_cancel(connection: Connection, run_id: UUID) -> None:
    """Wake a run's executor, so that it looks at its claim."""
    await connection.execute(_SQL["tell_to_cancel"], {"id": run_id})


async def after(connection: Connection, run_id: UUID, seq: int) -> list[Event]:
    """Return the next events behind number `seq`, at most 500 or 4 MB of them."""
    return await fetch_all(connection, _SQL["after"], {"id": run_id, "after": seq}, Event)


async def last(connection: Connection, run_id: UUID) -> int:
    """Return the number of a run's last event, 0 if there is none."""
    return int(await fetch_value(connection, _SQL["last"], {"id": run_id}) or 0)
