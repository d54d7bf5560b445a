"""Defective prompts to heal, each with the pass rate to expect under it."""

import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "defects.toml"


@dataclass(frozen=True)
class Defect:
    """One defective prompt of an agent; `strength` is the expected pass rate under it, 0 to 1."""

    name: str
    agent: str
    strength: float
    prompt: str

    def shown(self) -> dict[str, Any]:
        """Return the defect as /control/defects shows it."""
        return asdict(self)


@cache
def load_defects() -> tuple[Defect, ...]:
    """Read the defects, the first of them `hello-world`."""
    rows = tomllib.loads(_FILE.read_text(encoding="utf-8"))["defect"]
    return tuple(Defect(**row) for row in rows)
