"""The address of a running service's model, for commands in other terminals.

A service whose GOOGLE_GEMINI_BASE_URL is an address of this machine, where no key of Google's is
needed, records it in its data folder. A command that has neither a key nor a model of its own uses
a recorded address. The service holds a lock on its record, which the kernel drops when the process
ends: a record without a lock is stale. No key is ever recorded.
"""

import fcntl
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from selfheal.db.embedded.cluster import make_data_folder
from selfheal.server.binding import is_loopback
from selfheal.server.settings import ServerSettings, read_settings

logger = logging.getLogger(__name__)

_ADDRESS: Final = "GOOGLE_GEMINI_BASE_URL"
_NO_KEY: Final = "-"  # Google's client requires a key for every address
_LONGEST: Final = 2048
# Each chooses the model, or is a secret that no other address may receive.
_OWN: Final = {"google_api_key", "google_gemini_base_url", "judge_api_key", "model"}


@contextmanager
def publish_model_address(settings: ServerSettings) -> Iterator[None]:
    """Record the address of this process's model during the body."""
    address = settings.google_gemini_base_url
    with ExitStack() as stack:
        if address and _is_local(address):
            try:
                stack.enter_context(_recorded(settings.data_dir, address))
            except OSError as error:
                logger.warning(
                    "commands in other terminals will not find the model: %s", error.strerror
                )
        yield


def read_settings_beside_service() -> ServerSettings:
    """Read the settings; without a model and a key, use the model of a running service.

    Its address is set in the environment, where the model's client reads it.

    Raises:
        SettingsError: a value cannot be used.
    """
    settings = read_settings()
    if _OWN & settings.model_fields_set:
        return settings
    if (address := _find(settings.data_dir)) is None:
        return settings
    os.environ.update({_ADDRESS: address, "GOOGLE_API_KEY": _NO_KEY})
    return read_settings()


@contextmanager
def _recorded(folder: Path, address: str) -> Iterator[None]:
    """Write and lock a record. It gets its name after it is locked, so it never appears stale."""
    make_data_folder(folder)
    record, name = tempfile.mkstemp(prefix="model-", suffix=".new", dir=folder)  # mode 0600
    unnamed, named = Path(name), Path(name).with_suffix(".address")
    try:
        fcntl.flock(record, fcntl.LOCK_EX)
        os.write(record, address.encode())
        unnamed.rename(named)
        yield
    finally:
        for path in (unnamed, named):
            path.unlink(missing_ok=True)
        os.close(record)


def _find(folder: Path) -> str | None:
    """Return an address recorded by a running service; delete stale records."""
    for path in folder.glob("model-*.address"):
        with suppress(OSError, UnicodeDecodeError):  # its service is ending
            if address := _read(path):
                return address
    return None


def _read(path: Path) -> str | None:
    record = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(record)
        others = stat.S_IMODE(found.st_mode) & 0o077
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or others:
            return None
        try:
            fcntl.flock(record, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            address = os.read(record, _LONGEST).decode()
            return address if _is_local(address) else None
        path.unlink(missing_ok=True)
        return None
    finally:
        os.close(record)


def _is_local(address: str) -> bool:
    """Return whether a URL is of this machine and contains no password."""
    if len(address) > _LONGEST:
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and "@" not in parts.netloc
        and is_loopback(parts.hostname)
    )
