"""`selfheal golden …`: the work and the verdicts that prompts and judges are measured by."""

import click

from selfheal.server.cli.deferred import implemented_by
from selfheal.server.cli.options import as_json


@click.group()
def golden() -> None:
    """Show golden requests and verdicts, and check the judge against them."""


@golden.command("list")
@as_json
@implemented_by("golden:list_")
def list_() -> None:
    """List the golden requests and verdicts: your own, and those that selfheal comes with."""


@golden.command()
@as_json
@implemented_by("golden:check")
def check() -> None:
    """Ask the judge for its opinion of every golden verdict, and report how far it agrees.

    One model call a verdict, under the evaluator's live prompt. It agrees where its score is
    within 0.2 of the mark.
    """


@golden.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@implemented_by("golden_requests:add")
def add() -> None:
    """Add golden requests of your own from a JSON Lines file (`-`: standard input), all or none.

    A line: {"id": "vat", "request": "Write vat(net) …", "examples": [{"call": "vat(100)",
    "returns": "19.0"}, {"call": "vat(-1)", "raises": "ValueError"}]}. Candidates are proven by
    them, and no model is shown them before.
    """


@golden.command()
@click.argument("name")
@implemented_by("golden_requests:remove")
def remove() -> None:
    """Remove a golden request of your own."""
