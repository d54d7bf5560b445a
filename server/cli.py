"""The command line.

Bad input gets one line that says what is wrong and what to do, and exit code 2.
"""

import sys

import click

from server.commands import (
    decisions,
    demo,
    doctor,
    golden,
    healings,
    migrate,
    optimize,
    prompts,
    runs,
    serve,
)
from server.commands.failures import Refused, explained


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="selfheal")
def selfheal() -> None:
    """Run an agent service that repairs its own prompts, with evidence."""


for command in (
    demo.demo,
    serve.serve,
    optimize.optimize,
    prompts.prompts,
    runs.runs,
    healings.healings,
    golden.golden,
    migrate.migrate,
    doctor.doctor,
):
    selfheal.add_command(command)
for decision in (decisions.approve, decisions.reject, decisions.pause, decisions.resume):
    healings.healings.add_command(decision)


def main() -> None:
    """Run the command line."""
    try:
        with explained():
            selfheal.main(standalone_mode=False)
    except Refused as refused:
        click.echo(f"selfheal: {refused}", err=True)
        sys.exit(refused.code)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.Abort:
        sys.exit(130)
