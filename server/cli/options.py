"""Arguments and options that several commands share."""

from typing import Final

import click

# A copy of those in selfheal.db.types, which is too slow to import here: a test compares them.
AGENTS: Final = ("manager", "worker", "evaluator")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
note = click.option("--note", default="", help="The reason, recorded with the action.")
limit = click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1, 500),
    help="Maximum number of rows.",
)
agent = click.argument("agent", type=click.Choice(AGENTS))
healing_id = click.argument("healing_id", type=click.UUID)
