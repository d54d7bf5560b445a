"""Arguments and options that several commands share."""

from typing import Final

import click

# As selfheal.db.prompts has them, which cannot be imported here: a test compares them.
AGENTS: Final = ("manager", "worker", "evaluator")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
note = click.option("--note", default="", help="Why.")
limit = click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500))
agent = click.argument("agent", type=click.Choice(AGENTS))
healing_id = click.argument("healing_id", type=click.UUID)
