"""The command line: commands and their options. `server/commands/` implements them.

Declarations import click alone, so that `--help` is fast: the implementation of a command takes a
second or more to import, which is deferred until the command is run (`deferred.py`).

Invalid input is answered by one line that says what is wrong and what to do, and exit code 2.
"""

import sys

try:
    import click
except ModuleNotFoundError:
    sys.exit("selfheal: the service is not installed: run pip install 'selfheal[server]'")

from selfheal.server.cli.golden import golden
from selfheal.server.cli.healings import healings
from selfheal.server.cli.keys import keys
from selfheal.server.cli.prompts import prompts
from selfheal.server.cli.runs import runs
from selfheal.server.cli.service import demo, doctor, migrate, optimize, prune, serve


class _InOrder(click.Group):
    """A group that lists its commands in the order of their declaration."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="selfheal")
def selfheal() -> None:
    """Run an agent service that repairs its own prompts, with evidence."""


_COMMANDS: tuple[click.Command, ...] = (
    *(demo, serve, optimize),
    *(prompts, runs, healings, golden, keys),
    *(migrate, doctor, prune),
)
for _command in _COMMANDS:
    selfheal.add_command(_command)


def main() -> None:
    """Run the command line."""
    try:
        selfheal.main(standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"selfheal: {_line(error)}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as request:
        sys.exit(request.exit_code)
    except click.Abort:
        sys.exit(130)


def _line(error: click.ClickException) -> str:
    """Return the error as one line; a usage error names the help to read."""
    if not isinstance(error, click.UsageError):
        return error.format_message()
    where = f"; see '{error.ctx.command_path} --help'" if error.ctx else ""
    return f"{error.format_message().rstrip('.')}{where}"
