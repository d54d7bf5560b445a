"""A build hook that refuses to build the package without its code."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_PACKAGES = ("app", "db", "graph", "optimizer", "server", "simulator")


class LinksHook(BuildHookInterface[Any]):
    """Checks that every link of `selfheal/` leads to a package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run before each build.

        Raises:
            RuntimeError: a link is missing, or is a plain file.
        """
        missing = [
            name
            for name in _PACKAGES
            if not Path(self.root, "selfheal", name, "__init__.py").is_file()
        ]
        if missing:
            raise RuntimeError(
                f"selfheal/{missing[0]} is not a package. The folders in selfheal/ are"
                " symbolic links: check out with `git clone -c core.symlinks=true`, on a file"
                " system that supports them (on Windows, in WSL)."
            )
