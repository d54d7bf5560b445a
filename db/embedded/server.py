"""The embedded Postgres, for machines without DATABASE_URL; shared by the machine's processes.

`start.lock` is held while the server is started or stopped. Every process that uses the server has
a shared lock on `users.lock`; one that can lock it exclusively is the last and stops the server.
The kernel releases both when a process is killed: the next process then uses the running server.
"""

import asyncio
import fcntl
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import TypeVar

import psycopg

from selfheal.db.embedded.cluster import (
    Cluster,
    EmbeddedPostgresError,
    NoClusterError,
    make_data_folder,
    try_lock,
)

__all__ = ["EmbeddedPostgresError", "NoClusterError", "embedded_postgres"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
PATIENCE_SECONDS = 60.0  # for a recovery, or for the checkpoint of a shutdown
STARTS = 3  # another process may take the free port before the server does


@asynccontextmanager
async def embedded_postgres(data_dir: Path, *, create: bool = True) -> AsyncIterator[str]:
    """Start the folder's Postgres, or use the running one; yield the URL of database `selfheal`.

    Args:
        data_dir: the folder of the cluster.
        create: create cluster and database if there are none.

    Raises:
        NoClusterError: there is no cluster or no database, and `create` is False.
        EmbeddedPostgresError: Postgres does not start.
    """
    user, hurry = _User(data_dir, create=create), Event()
    try:
        yield await _to_the_end(lambda: user.join(hurry), hurry)
    finally:
        await _to_the_end(user.leave, hurry)


async def _to_the_end(work: Callable[[], T], hurry: Event) -> T:
    """Run blocking work in a thread and wait for its end, even if cancelled.

    A cancelled coroutine would leave the server half started or half stopped.
    """
    future = asyncio.get_running_loop().run_in_executor(None, work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
            hurry.set()
    if cancelled:
        raise cancelled from future.exception()
    return future.result()


def _poll(ask: Callable[[], T | None], seconds: float, hurry: Event) -> T | None:
    """Poll every 10 ms until there is an answer, the time is over, or `hurry` is set."""
    end = time.monotonic() + seconds
    while (answer := ask()) is None and time.monotonic() < end and not hurry.wait(0.01):
        pass
    return answer


def _answer(cluster: Cluster, *, create: bool) -> str | None:
    """Return the URL of database `selfheal` once the server accepts connections, else None.

    Raises:
        NoClusterError: the database is missing, and `create` is False.
    """
    home = cluster.home
    if (postmaster := _postmaster(home)) is None or not postmaster[2]:
        return None
    password = (home / "password").read_text()
    # A process that listens on a dead server's port must not obtain the password.
    options = "sslmode=disable&gssencmode=disable&require_auth=scram-sha-256"
    url = f"postgresql://selfheal:{password}@127.0.0.1:{postmaster[1]}/%s?{options}"
    with (
        suppress(psycopg.OperationalError),
        psycopg.connect(url % "postgres", autocommit=True, connect_timeout=2) as connection,
    ):
        known = connection.execute("SELECT FROM pg_database WHERE datname = 'selfheal'")
        if known.fetchone() is None:
            if not create:
                raise NoClusterError(cluster.folder)
            connection.execute("CREATE DATABASE selfheal")
        return url % "selfheal"
    return None


def _interrupt(home: Path) -> bool:
    """Request a fast shutdown. The pid is valid only while the server lock is held."""
    if (postmaster := _postmaster(home)) is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(postmaster[0], signal.SIGINT)
    return True


def _postmaster(home: Path) -> tuple[int, int, bool] | None:
    """Return the server's pid, its port, and whether it is ready; None if there is none."""
    with suppress(FileNotFoundError, ValueError):
        lines = (home / "data/postmaster.pid").read_text().splitlines()
        if len(lines) >= 8:
            return int(lines[0]), int(lines[3]), lines[7].strip() == "ready"
    return None


@contextmanager
def _held(path: Path, hurry: Event) -> Iterator[None]:
    lock = _poll(lambda: try_lock(path, fcntl.LOCK_EX), 2 * PATIENCE_SECONDS, hurry)
    if lock is None:
        raise EmbeddedPostgresError(
            f"embedded Postgres: another process has held {path} for too long: "
            "end that process, or set DATABASE_URL"
        )
    try:
        yield
    finally:
        _release(lock)


def _release(lock: int) -> None:
    """Unlock and close: closing alone is not enough if a forked child has the descriptor."""
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.close(lock)


class _User:
    """A process that uses the shared server."""

    def __init__(self, folder: Path, *, create: bool) -> None:
        self.folder = folder.absolute()
        self.create = create
        self.cluster = Cluster(self.folder)
        self.lock: int | None = None

    def join(self, hurry: Event) -> str:
        """Start using the server, and start it unless it runs; return its URL."""
        if not (self.create or self.cluster.exists()):
            raise NoClusterError(self.folder)
        with self._deciding(hurry):
            self.lock = try_lock(self.folder / "users.lock", fcntl.LOCK_SH)
            return self._serve(hurry)

    def leave(self) -> None:
        """Stop using the server, and stop it if this was its last user."""
        if self.lock is None:
            return
        _release(self.lock)
        with self._deciding(Event()):
            if (alone := try_lock(self.folder / "users.lock", fcntl.LOCK_EX)) is not None:
                try:
                    self._stop()
                finally:
                    _release(alone)

    @contextmanager
    def _deciding(self, hurry: Event) -> Iterator[None]:
        """Exclude other processes from starting or stopping the server."""
        try:
            make_data_folder(self.folder)
            with _held(self.folder / "start.lock", hurry):
                yield
        except (OSError, LookupError) as error:
            raise EmbeddedPostgresError(
                f"embedded Postgres: {error}: set SELFHEAL_DATA_DIR to a folder that you can "
                "write to, or set DATABASE_URL"
            ) from error

    def _serve(self, hurry: Event) -> str:
        """Use a running server, wait for one that is starting, or start one; return its URL."""
        starts = iter(range(STARTS))

        def serving() -> str | None:
            url = _answer(self.cluster, create=self.create)
            if url is None and (lock := self.cluster.idle()) is not None:
                try:
                    if next(starts, None) is None:
                        raise self.cluster.failure("the server does not start")
                    made = "" if self.cluster.exists() else ", for the first time"
                    logger.info("starting Postgres in %s%s", self.folder, made)
                    self.cluster.start(lock)
                finally:
                    os.close(lock)  # not unlocked: the server has inherited it
            return url

        if (url := _poll(serving, PATIENCE_SECONDS, hurry)) is None:
            raise self.cluster.failure(f"no answer within {PATIENCE_SECONDS:.0f} s")
        return url

    def _stop(self) -> None:
        """Stop the server and wait for the end of its last process."""
        asked = False

        def stopped() -> bool | None:
            nonlocal asked
            if (lock := self.cluster.idle()) is not None:
                os.close(lock)
                return True
            asked = asked or _interrupt(self.cluster.home)
            return None

        if not _poll(stopped, PATIENCE_SECONDS, Event()):
            raise self.cluster.failure(f"the server did not stop in {PATIENCE_SECONDS:.0f} s")
