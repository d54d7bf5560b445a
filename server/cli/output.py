"""Output of commands: tables for people, JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any, Final

import click
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

_WIDEST: Final = 100_000


def print_json(value: object) -> None:
    """Print a row, or a list of rows, as JSON."""
    jsonable = TypeAdapter(Any).dump_python(value, mode="json")
    click.echo(json.dumps(jsonable, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows as a table, one line per row; no text is interpreted as markup.

    Lines are not wrapped or cut to the terminal's width, so that they can be searched with `grep`.

    Args:
        columns: the headings.
        rows: one value per column; None is shown as `-`.
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
    """Return untrusted text with control characters, such as terminal escapes, replaced."""
    return "".join(
        c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text
    )
