"""Damaged prompts to heal: named, with how much of the work still passes under each."""

import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "defects.toml"


@dataclass(frozen=True)
class Defect:
    """One damaged prompt of an agent; `strength` is the pass rate to expect under it."""

    name: str
    agent: str
    strength: float
    prompt: str

    def shown(self) -> dict[str, Any]:
        """Return the defect as /control/defects gives it."""
        return asdict(self)


@cache
def load_defects() -> tuple[Defect, ...]:
    """Read the defects, the first of them `hello-world`."""
    rows = tomllib.loads(_FILE.read_text(encoding="utf-8"))["defect"]
    return tuple(Defect(**row) for row in rows)
