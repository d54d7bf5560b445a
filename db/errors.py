"""What can go wrong with the database, in our words. Drivers' errors are translated here, once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

import psycopg


class DatabaseError(Exception):
    """The database refused or failed."""


class DatabaseUnavailableError(DatabaseError):
    """Postgres cannot do this now; the same call may succeed later.

    `summary` says of each kind what is wrong, without anything of the server's own message: it is
    fit for those who call over HTTP.
    """

    summary: ClassVar[str] = "the database cannot do this"


class UnreachableError(DatabaseUnavailableError):
    """There is no connection, none is free, or it was lost."""

    summary = "the database cannot be reached"


class TransactionConflictError(DatabaseUnavailableError):
    """Another transaction was in the way: serialization failure or deadlock. Nothing was done."""

    summary = "other requests were in the way in the database"


class LockTimeoutError(TransactionConflictError):
    """Another transaction held a lock for longer than `lock_timeout`. Nothing was done."""

    summary = "the database waited too long for a lock"


class TimeLimitError(DatabaseUnavailableError):
    """A limit of the server ended a statement or a transaction: `statement_timeout`, for one."""

    summary = "the database took longer than its time limit"


class ReadOnlyError(DatabaseUnavailableError):
    """The database takes no writes: a standby, or `default_transaction_read_only`."""

    summary = "the database is read-only"


class ResourcesExhaustedError(DatabaseUnavailableError):
    """The server is short of memory, or another of its limits is reached."""

    summary = "the database is short of resources"


class DiskFullError(ResourcesExhaustedError):
    """The server has no space left."""

    summary = "the database's disk is full"


class StorageFailedError(DatabaseUnavailableError):
    """The server cannot read or write its files."""

    summary = "the database's storage fails"


class SessionLostError(DatabaseError):
    """What belongs to a session is not kept: there is a pooler in transaction mode in between."""

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
    """Somebody else released a version of this agent first; read again, then decide again."""


class ClaimLostError(DatabaseError):
    """Another process executes this run now: what this one would write is refused."""


_CLAIM_LOST: Final = "SH001"  # hold_claim() raises it
# A statement that was prepared is there twice, or not at all.
_SESSION_LOST: Final = ("42P05", "26000")

_UNREACHABLE: Final = (UnreachableError, "cannot be reached")

# By SQLSTATE, else by its first two characters, its class. What is not listed is no passing state
# of the server, even where the driver calls it operational: a value too large for an index, say.
_UNAVAILABLE: Final[dict[str, tuple[type[DatabaseUnavailableError], str]]] = {
    "08": _UNREACHABLE,
    "25006": (ReadOnlyError, "is read-only"),
    "25P03": (TimeLimitError, "ended a transaction at its time limit"),
    "25P04": (TimeLimitError, "ended a transaction at its time limit"),
    "28": _UNREACHABLE,
    "3D000": _UNREACHABLE,
    "40": (TransactionConflictError, "undid a transaction that met another one"),
    "40003": _UNREACHABLE,
    "53": (ResourcesExhaustedError, "is short of resources"),
    "53100": (DiskFullError, "has no space left"),
    "53300": _UNREACHABLE,
    "55P03": (LockTimeoutError, "waited too long for a lock"),
    "57": _UNREACHABLE,
    "57014": (TimeLimitError, "ended a statement at its time limit"),
    "58": (StorageFailedError, "cannot read or write its files"),
}


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into ours.

    Raises:
        ClaimLostError: a run's claim does not hold any more.
        DatabaseUnavailableError: the same call may succeed later; see its kinds.
        DatabaseError: anything else that the driver raises.
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
        kind = _UNREACHABLE  # raised on this side: no connection, or a lost one
    if kind is None:
        return DatabaseError(f"Postgres refused: {_line(error)}")
    unavailable, what = kind
    return unavailable(f"Postgres {what}: {_line(error)}")


def _line(error: BaseException) -> str:
    """Return the first line of what the driver says, or the error's kind when it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
