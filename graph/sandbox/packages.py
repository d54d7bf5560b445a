"""Packages for sandboxed programs: a folder of the operator's, read-only for programs."""

import pkgutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from selfheal.db.settings import SettingsError
from selfheal.graph.settings import AgentSettings

_MOST_NAMED: Final = 100
_WRITABLE_BY_ALL: Final = 0o002


@dataclass(frozen=True, slots=True)
class Packages:
    """A folder as `pip install --target` makes it, and the modules that it offers, sorted."""

    folder: Path | None = None
    modules: tuple[str, ...] = ()

    def described(self) -> str:
        """Return in one line, for a model's message, what a program can import."""
        if not self.modules:
            return "The program will run with Python's standard library alone."
        named = ", ".join(self.modules[:_MOST_NAMED])
        return f"The program will run with Python's standard library and these packages: {named}."

    def has(self, module: str) -> bool:
        """Return whether a program can import a top-level module."""
        return module in self.modules or module in sys.stdlib_module_names


NO_PACKAGES: Final = Packages()


def packages_in(folder: Path, *private: Path) -> Packages:
    """Return the packages in a folder.

    Args:
        folder: filled by `pip install --target FOLDER`. Every sandboxed program can read all of it.
        private: folders that must not be inside it, beside the user's home, that of temporary files
            and /etc.

    Raises:
        ValueError: the folder cannot be used; the message says why.
    """
    try:
        found = folder.resolve(strict=True)
        if not found.is_dir():
            raise ValueError("is not a folder")
        modules = sorted(each.name for each in pkgutil.iter_modules([str(found)]))
        mode = found.stat().st_mode
    except (OSError, RuntimeError):
        raise ValueError("does not exist, or cannot be read") from None
    outside = (Path.home(), Path(tempfile.gettempdir()), Path("/etc"), *private)
    if any(each.resolve().is_relative_to(found) for each in outside):
        raise ValueError("holds more than packages: programs could read all of it")
    if mode & _WRITABLE_BY_ALL:
        raise ValueError("can be written to by every user of this machine")
    named = tuple(each for each in modules if not each.startswith("_"))
    if not named:
        raise ValueError("holds no Python package; fill it by pip install --target")
    return Packages(found, named)


def configured_packages(settings: AgentSettings) -> Packages:
    """Return the packages that the settings name.

    Raises:
        SettingsError: their folder cannot be used.
    """
    if settings.sandbox_packages is None:
        return NO_PACKAGES
    try:
        return packages_in(settings.sandbox_packages, settings.data_dir)
    except ValueError as error:
        raise SettingsError(f"SELFHEAL_SANDBOX_PACKAGES: {error}") from None
