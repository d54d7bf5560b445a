"""The error of a command: one line on standard error, and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from selfheal.db.embedded.server import EmbeddedPostgresError
from selfheal.db.errors import DatabaseError
from selfheal.db.settings import SettingsError
from selfheal.graph.sandbox.protocol import SandboxUnavailable
from selfheal.server.http.binding import CannotListenError


class CommandError(click.ClickException):
    """Ends a command with a message for the terminal.

    Args:
        message: one line that says what is wrong and what to do.
        code: the exit code.
    """

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the error itself


@contextmanager
def as_command_errors() -> Iterator[None]:
    """Turn every error that an operator can fix into one line.

    Raises:
        CommandError: what is wrong and what to do.
    """
    try:
        yield
    except SandboxUnavailable as error:  # only raised for a sandbox that was chosen by name
        raise CommandError(f"SELFHEAL_SANDBOX: {' '.join(str(error).split())}") from error
    except (CannotListenError, DatabaseError, EmbeddedPostgresError, SettingsError) as error:
        raise CommandError(" ".join(str(error).split())) from error
