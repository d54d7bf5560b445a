"""The raw results: a line of JSON a trial, appended as it ends, so that a run can be resumed."""

import json
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Records:
    """The file of results."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[Record] = _read(path)
        self._keys = {row["key"] for row in self.rows}

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, row: Record) -> None:
        """Keep a result; it is on disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)
        self._keys.add(row["key"])

    def of(self, experiment: str, **wanted: Any) -> list[Record]:
        """Return an experiment's results with these values."""
        found = (row for row in self.rows if row["experiment"] == experiment)
        return [row for row in found if all(row[name] == value for name, value in wanted.items())]


def _read(path: Path) -> list[Record]:
    """Return the rows of a file; a line over which a process died is cut off."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        path.write_bytes(whole)
    return [json.loads(line) for line in whole.decode().splitlines()]
