"""A build hook: refuse to build a package that has lost its code."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_ROOMS = ("app", "db", "graph", "optimizer", "server", "simulator")


class LinksHook(BuildHookInterface[Any]):
    """Checks that every link of `selfheal/` leads to a package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run before each build.

        Raises:
            RuntimeError: a link was lost.
        """
        lost = [
            name
            for name in _ROOMS
            if not Path(self.root, "selfheal", name, "__init__.py").is_file()
        ]
        if lost:
            raise RuntimeError(
                f"selfheal/{lost[0]} is no folder with Python code. The folders in selfheal/ are"
                " symbolic links: check out with `git clone -c core.symlinks=true`, on a file"
                " system that has them (on Windows, in WSL)."
            )
