"""The named queries of `db/sql/`, read once."""

import re
from functools import cache
from importlib.resources import files

_PART = re.compile(r"^-- (?P<kind>name|columns): (?P<name>\w+)\s*$", re.MULTILINE)


@cache
def load(family: str) -> dict[str, bytes]:
    """Return the queries of `db/sql/<family>.sql` by name.

    A query begins after a line `-- name: <name>`; comments under that line say what it is for.
    A list of columns begins after `-- columns: <name>`, and stands where a query says `{name}`:
    never `*`, because a prepared statement dies with it when a newer version adds a column.
    Bytes, because psycopg takes a query that is no literal of the program only so.
    """
    text = (files("selfheal.db") / "sql" / f"{family}.sql").read_text(encoding="utf-8")
    parts = _PART.split(text)[1:]
    found = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    columns: dict[str, str] = {}
    queries: dict[str, bytes] = {}
    for kind, name, body in found:
        if kind == "columns":
            columns[f"{{{name}}}"] = body.strip()
        else:
            queries[name] = _filled(body.strip(), columns).encode()
    return queries


def _filled(body: str, columns: dict[str, str]) -> str:
    for place, names in columns.items():
        body = body.replace(place, names)
    return body
