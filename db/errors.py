"""What can go wrong with the database, in our words. Drivers' errors are translated here, once."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import psycopg_pool


class DatabaseError(Exception):
    """The database refused or failed."""


class DatabaseUnavailableError(DatabaseError):
    """Postgres cannot be reached now; the same call may succeed later."""


class SchemaError(DatabaseError):
    """The database has no schema, or one that this version cannot work with."""


class NotFoundError(DatabaseError):
    """There is no such row."""


class ReleaseConflictError(DatabaseError):
    """Somebody else released a version of this agent first; read again, then decide again."""


class ClaimLostError(DatabaseError):
    """Another process executes this run now: what this one would write is refused."""


_CLAIM_LOST = "SH001"  # hold_claim() raises it


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into ours.

    Raises:
        ClaimLostError: a run's claim does not hold any more.
        DatabaseUnavailableError: no connection, a lost one, or a server that is shutting down.
        DatabaseError: anything else that the driver raises.
    """
    try:
        yield
    except (psycopg.OperationalError, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed) as error:
        raise DatabaseUnavailableError(f"Postgres cannot be reached: {_line(error)}") from error
    except psycopg.Error as error:
        if error.sqlstate == _CLAIM_LOST:
            raise ClaimLostError(_line(error)) from error
        raise DatabaseError(f"Postgres refused: {_line(error)}") from error


def _line(error: Exception) -> str:
    """Return the first line of what the driver says, or the error's kind when it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
