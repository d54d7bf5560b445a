"""Defers the import of a command's implementation until the command is run."""

from collections.abc import Callable
from functools import wraps
from importlib import import_module


def implemented_by(place: str) -> Callable[[Callable[[], None]], Callable[..., None]]:
    """Bind a declared command to the function that implements it.

    The function gets the command's options as keyword arguments.

    Args:
        place: `module:function`, the module in `selfheal.server.commands`.

    Returns:
        A decorator for the declaration.
    """
    module, _, name = place.partition(":")

    def declare(declared: Callable[[], None]) -> Callable[..., None]:
        @wraps(declared)
        def run(**options: object) -> None:
            getattr(import_module(f"selfheal.server.commands.{module}"), name)(**options)

        return run

    return declare
