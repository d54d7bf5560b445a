"""Errors of the database. The driver's exceptions are translated here, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

import psycopg


class DatabaseError(Exception):
    """The database refused or failed."""


class DatabaseUnavailableError(DatabaseError):
    """Postgres cannot do this now; the same call may succeed later.

    Attributes:
        summary: what is wrong, for HTTP callers: nothing of the server's own message.
    """

    summary: ClassVar[str] = "the database cannot do this"


class UnreachableError(DatabaseUnavailableError):
    """No connection can be opened or is free in time, or it was lost."""

    summary = "the database cannot be reached"


class TransactionConflictError(DatabaseUnavailableError):
    """A conflict with another transaction: serialization failure or deadlock. Nothing was done."""

    summary = "the database had conflicting requests"


class LockTimeoutError(TransactionConflictError):
    """Another transaction held a lock for longer than `lock_timeout`. Nothing was done."""

    summary = "the database waited too long for a lock"


class TimeLimitError(DatabaseUnavailableError):
    """A time limit of the server, such as `statement_timeout`, ended a statement or transaction."""

    summary = "the database took longer than its time limit"


class ReadOnlyError(DatabaseUnavailableError):
    """The database accepts no writes: a standby, or `default_transaction_read_only`."""

    summary = "the database is read-only"


class ResourcesExhaustedError(DatabaseUnavailableError):
    """The server is out of memory, or has reached another of its limits."""

    summary = "the database has run out of resources"


class DiskFullError(ResourcesExhaustedError):
    """The server has no space left."""

    summary = "the database's disk is full"


class StorageFailedError(DatabaseUnavailableError):
    """The server cannot read or write its files."""

    summary = "the database cannot read or write its files"


class SessionLostError(DatabaseError):
    """Session state is lost: a pooler in transaction mode is between client and server."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}: DATABASE_URL goes through a pooler that shares sessions (PgBouncer in"
            " transaction mode): set SELFHEAL_DIRECT_DATABASE_URL to the server's own address"
        )


class SchemaError(DatabaseError):
    """The database has no schema, or one that this version cannot work with."""


class NotFoundError(DatabaseError):
    """There is no such row."""


class ReleaseConflictError(DatabaseError):
    """Another release of this agent was made first; read again, then decide again."""


class ClaimLostError(DatabaseError):
    """Another process has claimed this run: writes of this one are refused."""


_CLAIM_LOST: Final = "SH001"  # hold_claim() raises it
# A prepared statement exists already, or does not exist.
_SESSION_LOST: Final = ("42P05", "26000")

_UNREACHABLE: Final = (UnreachableError, "cannot be reached")

# By SQLSTATE, else by its class, the first two characters. Errors that are not listed are not
# transient, even if the driver calls them operational, such as a value too large for an index.
_UNAVAILABLE: Final[dict[str, tuple[type[DatabaseUnavailableError], str]]] = {
    "08": _UNREACHABLE,
    "25006": (ReadOnlyError, "is read-only"),
    "25P03": (TimeLimitError, "ended a transaction at its time limit"),
    "25P04": (TimeLimitError, "ended a transaction at its time limit"),
    "28": _UNREACHABLE,
    "3D000": _UNREACHABLE,
    "40": (TransactionConflictError, "rolled back a transaction that conflicted with another one"),
    "40003": _UNREACHABLE,
    "53": (ResourcesExhaustedError, "has run out of resources"),
    "53100": (DiskFullError, "has no space left"),
    "53300": _UNREACHABLE,
    "55P03": (LockTimeoutError, "waited too long for a lock"),
    "57": _UNREACHABLE,
    "57014": (TimeLimitError, "ended a statement at its time limit"),
    "58": (StorageFailedError, "cannot read or write its files"),
}


@contextmanager
def translated() -> Iterator[None]:
    """Translate the driver's errors of the body.

    Raises:
        ClaimLostError: another process has claimed the run.
        DatabaseUnavailableError: the same call may succeed later; see its subclasses.
        DatabaseError: any other error of the driver.
    """
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from error


def translate(error: BaseException) -> DatabaseError:
    """Return our error for one of the driver's."""
    state = getattr(error, "sqlstate", None) or ""
    if state == _CLAIM_LOST:
        return ClaimLostError(_line(error))
    if state in _SESSION_LOST:
        return SessionLostError(_line(error))
    kind = _UNAVAILABLE.get(state) or _UNAVAILABLE.get(state[:2])
    if not state and isinstance(error, psycopg.OperationalError):
        kind = _UNREACHABLE  # raised by the client: no connection, or a lost one
    if kind is None:
        return DatabaseError(f"Postgres refused: {_line(error)}")
    unavailable, what = kind
    return unavailable(f"Postgres {what}: {_line(error)}")


def _line(error: BaseException) -> str:
    """Return the first line of the driver's message, or the error's class if that is empty."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
