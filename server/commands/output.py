"""How data commands show rows: a table for people, JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any, Final

import click
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

_WIDEST: Final = 100_000


def print_json(value: object) -> None:
    """Print rows, or one, as JSON."""
    plain = TypeAdapter(Any).dump_python(value, mode="json")
    click.echo(json.dumps(plain, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows as a table, one a line; texts are shown as they are, never read as markup.

    Lines are as long as they need: a cell squeezed to three letters is of no use, nor to `grep`.
    """
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    Console(markup=False, highlight=False, emoji=False, width=_WIDEST).print(table, crop=False)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    return plain(" ".join(text.split()))


def plain(text: str) -> str:
    """Return a stranger's text without what a terminal would obey: escapes and other controls."""
    return "".join(
        c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text
    )
