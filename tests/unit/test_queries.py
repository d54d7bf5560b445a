"""The named queries."""

import re
from importlib.resources import files
from pathlib import Path

from selfheal import db
from selfheal.db import queries

FOLDER = Path(*db.__path__)
FAMILIES = [file.name.removesuffix(".sql") for file in (files("selfheal.db") / "sql").iterdir()]


def test_no_query_asks_a_table_for_all_columns() -> None:
    """A newer version may add one, and a prepared statement does not survive that."""
    everything = re.compile(r"(SELECT|RETURNING|\w+\.)\s*\*(?!\s+FROM \()")
    for family in FAMILIES:
        for name, query in queries.load(family).items():
            assert not everything.search(query.decode()), f"{family}.{name}"


def test_columns_stand_where_they_are_named() -> None:
    query = queries.load("pauses")["newest"].decode()
    assert query.startswith("SELECT pauses.id, pauses.paused, ")
    for family in FAMILIES:
        for name, each in queries.load(family).items():
            assert not re.search(r"(?<!')\{[a-z_]+\}", each.decode()), f"{family}.{name}"


def test_typed_rows_are_read_in_one_place() -> None:
    """`db.queries.fetch_*` does; only `page` has a cursor of its own, on the server."""
    repeated = re.compile(r"class_row\(|scalar_row\b|assert row")
    readers = {file.name for file in FOLDER.rglob("*.py") if repeated.search(file.read_text())}
    assert readers == {"queries.py", "paging.py"}
