"""The prompts of the optimizer's own models. They are fixed: no healing changes them."""

from functools import cache
from importlib.resources import files


@cache
def load(name: str) -> str:
    """Return `<name>.md` of this folder."""
    file = files("selfheal.optimizer.instructions") / f"{name}.md"
    return file.read_text(encoding="utf-8").strip()
