"""Locks, versions and imports: what is installed is what was declared."""

import ast
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import (
    PackageNotFoundError,
    distribution,
    packages_distributions,
    version,
)
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from selfheal.server.api.routes.health import info
from selfheal.server.app import create_runner_app
from selfheal.server.service import Service

_ROOT = Path(__file__).parents[2]
_PYPROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_PROJECT = _PYPROJECT["project"]
# Not `selfheal/`: what searches a folder does not follow its links.
_PACKAGES = sorted(each.name for each in (_ROOT / "selfheal").iterdir() if each.is_symlink())
_PIN = re.compile(
    r"(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+?))?"
    r"(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})+)"
)


def _pins(lock: str) -> dict[str, tuple[str, str]]:
    """Return what a lock pins: name to version and hashes; each line must be a hashed pin."""
    text = (_ROOT / lock).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found: dict[str, tuple[str, str]] = {}
    for line in re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines():
        pin = _PIN.fullmatch(line)
        assert pin, f"{lock}: not a pinned requirement with hashes: {line}"
        found[canonicalize_name(pin["name"])] = (pin["version"], pin["hashes"])
    return found


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_names_hashes_and_no_address(lock: str) -> None:
    assert len(_pins(lock)) > 20
    assert "://" not in (_ROOT / lock).read_text(encoding="utf-8")


def test_every_dependency_is_locked() -> None:
    runtime, everything = _pins("requirements.lock"), _pins("requirements-dev.lock")
    extras, groups = _PROJECT["optional-dependencies"], _PYPROJECT["dependency-groups"]
    for lock, lines in ((runtime, extras["server"] + groups["build"]), (everything, groups["dev"])):
        for line in lines:
            needed = Requirement(line)
            version, _ = lock[canonicalize_name(needed.name)]
            assert needed.specifier.contains(version), f"{line}, but {version} is locked"
    assert runtime.items() <= everything.items(), "the tests must run what is shipped"


def test_what_is_locked_for_the_product_takes_little_room() -> None:
    """It takes 231 MB by its files, 291 on a disk with pip; SciPy and NumPy would be 204 more."""
    installed = [name for name in _pins("requirements.lock") if name != "pyeryx"]  # macOS alone
    assert sum(map(_bytes_installed, installed)) < 300 * 2**20


def _bytes_installed(name: str) -> int:
    """Return the size of a distribution's files; 0 where it is for another system."""
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        return 0
    return sum(path.stat().st_size for each in files if (path := Path(each.locate())).exists())


def test_no_file_repeats_the_version() -> None:
    """Nor one of the past, as a forgotten copy would: all of them are in the changelog."""
    changelog = (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d\S*)\]", changelog, re.MULTILINE)
    assert released[0] == _PROJECT["version"] == version("selfheal")
    literal = re.compile(rf"(?<![\d.])({'|'.join(map(re.escape, released))})(?![\d.])")
    found = {
        str(file.relative_to(_ROOT))
        for file in _texts()
        if literal.search(file.read_text(encoding="utf-8"))
    }
    assert found == {"CHANGELOG.md", "pyproject.toml"}


async def test_the_service_says_which_version_it_is() -> None:
    app = create_runner_app(cast("Service", SimpleNamespace(check=None)))
    assert (await info())["version"] == app.version == version("selfheal")


def _texts() -> Iterator[Path]:
    """Yield all files of the checkout that people write."""
    for folder, folders, names in os.walk(_ROOT):
        folders[:] = [each for each in folders if each == ".ci" or each[0] not in "._"]
        for name in names:
            if Path(name).suffix not in {".lock", ".png", ".gz", ".pyc"}:
                yield Path(folder, name)


def test_the_base_package_needs_nothing() -> None:
    assert _PROJECT["dependencies"] == []


def _imported(source: str) -> set[str]:
    """Return the top-level modules that a source imports anywhere, by a literal name at least."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                found.update(each.name for each in names)
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module)
            case ast.Call(
                func=ast.Name("import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(str(module)), *_],
            ):
                found.add(module)
    return {each.partition(".")[0] for each in found}


@cache
def _may_be_imported() -> frozenset[str]:
    """Return the modules that Python, we, the service or one of its extras brings."""
    built_with = {Requirement(each).name for each in _PYPROJECT["dependency-groups"]["build"]}
    extras = _PROJECT["optional-dependencies"].values()
    shipped = _pins("requirements.lock").keys() - built_with
    shipped |= {canonicalize_name(Requirement(each).name) for extra in extras for each in extra}
    brought = {
        module
        for module, distributions in packages_distributions().items()
        if {canonicalize_name(each) for each in distributions} & shipped
    }
    # The engine of pyeryx, which is not there for every Python, and what it gives to its guest.
    brought |= {"eryx", "_eryx"}
    return sys.stdlib_module_names | brought | {"selfheal"}


def _only_developers_have(source: str) -> set[str]:
    """Return what a source imports that an installed service may lack."""
    return _imported(source) - _may_be_imported()


def _beside(file: Path) -> set[str]:
    """Return the modules beside a file: a script of the sandbox imports them by their own names."""
    return {each.stem for each in file.parent.glob("*.py")}


@pytest.mark.parametrize("package", _PACKAGES)
def test_the_product_imports_nothing_that_only_developers_have(package: str) -> None:
    files = sorted((_ROOT / package).rglob("*.py"))
    assert files
    found = {
        file.relative_to(_ROOT).as_posix(): missing
        for file in files
        if (missing := _only_developers_have(file.read_text(encoding="utf-8")) - _beside(file))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import matplotlib",
        "from matplotlib.figure import Figure",
        "def f():\n    from hypothesis import given",
        "importlib.import_module('pytest')",
        "import hatchling",
        "import not_installed_anywhere",
    ],
)
def test_a_developers_import_is_found(source: str) -> None:
    assert _only_developers_have(source)


def test_what_the_service_brings_may_be_imported() -> None:
    source = "import ast, gepa, orjson\nfrom langgraph.types import X\nfrom . import here, graph"
    assert _only_developers_have(source) == set()


def _names_plainly(source: str) -> set[str]:
    """Return the plain names of our packages that a source hands to what imports or runs modules.

    ruff forbids them in import statements. `python -m simulator` works in the checkout on purpose.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Name(name) | ast.Attribute(attr=name), args=[ast.Constant(str(module)), *_]
            ) if name in ("files", "find_spec", "import_module", "run_module"):
                found.add(module.partition(".")[0])
            case ast.Tuple(elts) | ast.List(elts):
                texts = [each.value if isinstance(each, ast.Constant) else None for each in elts]
                found |= {str(then) for m, then in pairwise(texts) if m == "-m"} - {"simulator"}
    return {each.partition(".")[0] for each in found} & {*_PACKAGES}


def test_no_file_names_a_package_plainly() -> None:
    files = [each for each in _texts() if each.suffix == ".py"]
    found = {
        each.relative_to(_ROOT).as_posix(): names
        for each in files
        if (names := _names_plainly(each.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "files('graph')",
        "resources.files('db.sql')",
        "import_module('server.cli')",
        "run([sys.executable, '-m', 'server', 'migrate'])",
    ],
)
def test_a_plain_name_is_found(source: str) -> None:
    assert _names_plainly(source)
