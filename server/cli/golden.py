"""`selfheal golden …`: the cases that prompts and judges are measured on."""

import click

from selfheal.server.cli.deferred import implemented_by
from selfheal.server.cli.options import as_json


@click.group()
def golden() -> None:
    """Manage golden requests, and check the judge."""


@golden.command("list")
@as_json
@implemented_by("golden:list_")
def list_() -> None:
    """List golden requests and verdicts: your own and the built-in ones."""


@golden.command()
@as_json
@implemented_by("golden:check")
def check() -> None:
    """Measure the judge's agreement with the golden verdicts.

    The judge scores each of them, with one model call and the evaluator's live prompt; it agrees
    if its score is within 0.2 of the mark.
    """


@golden.command()
@click.option("--reason", required=True, help="The reason, recorded with the action.")
@implemented_by("golden:lift")
def lift() -> None:
    """Lift the judge's flag: accept the judge as it is now.

    A judge that agrees with fewer golden verdicts than at first is flagged, and healing is frozen
    until it recovers. Lift the flag if its present marks are right: its next checks are what it
    will be compared with.
    """


@golden.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@implemented_by("golden_requests:add")
def add() -> None:
    """Add golden requests from a file, all or none.

    The file (`-`: standard input) is JSON Lines. A line: {"id": "vat", "request": "Write vat(net)
    …", "examples": [{"call": "vat(100)", "returns": "19.0"}, {"call": "vat(-1)", "raises":
    "ValueError"}]}. Candidates are tested on them; models that diagnose failures or write prompts
    never see them.
    """


@golden.command()
@click.argument("name")
@implemented_by("golden_requests:remove")
def remove() -> None:
    """Remove one of your golden requests."""
