"""The panels' SQL, by name."""

import re
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def load(family: str) -> dict[str, str]:
    """Return the queries of `grafana/sql/<family>.sql`, each under its `-- name:`."""
    text = (Path(__file__).parent / "sql" / f"{family}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
