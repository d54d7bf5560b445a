"""How a command says that it cannot do its work: one line, and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from db.embedded import EmbeddedPostgresError
from db.errors import DatabaseError, UnreachableError
from graph.sandbox.contract import SandboxUnavailable
from graph.settings import SettingsError
from server.binding import CannotListenError


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """A command ends here, with words for the person at the terminal."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def explained() -> Iterator[None]:
    """Turn every error that a person can mend into one line.

    Raises:
        Refused: what is wrong and what to do.
    """
    try:
        yield
    except click.UsageError as error:
        where = f"; see '{error.ctx.command_path} --help'" if error.ctx else ""
        raise Refused(f"{error.format_message().rstrip('.')}{where}") from error
    except click.ClickException as error:
        raise Refused(error.format_message()) from error
    except UnreachableError as error:
        raise Refused(
            f"{error}; check DATABASE_URL, or unset it to use the embedded one"
        ) from error
    except (
        CannotListenError,
        DatabaseError,
        EmbeddedPostgresError,
        SandboxUnavailable,
        SettingsError,
    ) as error:
        raise Refused(" ".join(str(error).split())) from error
