"""The named queries of `db/sql/`, read once."""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (?P<name>\w+)\s*$", re.MULTILINE)


@cache
def load(family: str) -> dict[str, bytes]:
    """Return the queries of `db/sql/<family>.sql` by name.

    A query begins after a line `-- name: <name>`; comments under that line say what it is for.
    Bytes, because psycopg takes a query that is no literal of the program only so.
    """
    text = (files("db") / "sql" / f"{family}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    return {name: body.strip().encode() for name, body in zip(parts[::2], parts[1::2], strict=True)}
