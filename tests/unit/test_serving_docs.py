"""The table of docs/serving.md is what the routes ask of a key."""

from collections import defaultdict
from pathlib import Path
from unittest.mock import Mock

from selfheal.db.api_keys import SCOPES
from selfheal.server.app import create_app
from selfheal.server.settings import read_settings
from tests.support.openapi_operations import operations

DOCS = Path(__file__).parents[2] / "docs" / "serving.md"


def table() -> list[str]:
    """Return the table's rows: each path, and the methods that need each scope."""
    document = create_app(Mock(settings=read_settings()), Mock()).openapi()
    needed: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in operations(document):
        for scope in one.scopes:
            needed[one.path][scope].append(one.method)
    rows = []
    for path in sorted(needed):
        cells = (" ".join(sorted(needed[path][scope])) for scope in SCOPES)
        rows.append(f"| `{path}` | {' | '.join(cells)} |".replace("  ", " "))
    return rows


def test_the_table_of_scopes_is_what_the_routes_ask_for() -> None:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `/")] == table()
