"""The one place where what does a command is imported: when it is run, not when it is described."""

from collections.abc import Callable
from functools import wraps
from importlib import import_module


def implemented_by(place: str) -> Callable[[Callable[[], None]], Callable[..., None]]:
    """Let a declared command be done by a function that takes its options by their names.

    Args:
        place: `module:function`, the module in `selfheal.server.commands`.
    """
    module, _, name = place.partition(":")

    def declare(declared: Callable[[], None]) -> Callable[..., None]:
        @wraps(declared)
        def run(**options: object) -> None:
            getattr(import_module(f"selfheal.server.commands.{module}"), name)(**options)

        return run

    return declare
