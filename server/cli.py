"""The command line.

Bad input gets one line that says what is wrong and what to do, and exit code 2.
"""

import sys
from importlib import import_module
from typing import Final

try:
    import click
except ModuleNotFoundError:
    sys.exit("selfheal: the service is not installed: run pip install 'selfheal[server]'")

from server.commands.failures import Refused, explained
from server.masking import mask_stderr, masking

_COMMANDS: Final = (
    "demo",
    "serve",
    "optimize",
    "prompts",
    "runs",
    "healings",
    "golden",
    "keys",
    "migrate",
    "doctor",
    "prune",
)


class _Commands(click.Group):
    """Commands, each in a module of its name that is imported when it is asked for.

    The agent's libraries take seconds to import, and half of the commands need none of them.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one, or None if there is none of that name."""
        if cmd_name not in _COMMANDS:
            return None
        found: click.Command = getattr(import_module(f"server.commands.{cmd_name}"), cmd_name)
        return found


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="selfheal")
def selfheal() -> None:
    """Run an agent service that repairs its own prompts, with evidence."""


def main() -> None:
    """Run the command line."""
    mask_stderr()
    try:
        with explained():
            selfheal.main(standalone_mode=False)
    except Refused as refused:
        click.echo(masking()(f"selfheal: {refused}"), err=True)
        sys.exit(refused.code)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.Abort:
        sys.exit(130)
