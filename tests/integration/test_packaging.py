"""What is shipped: the wheel with all that the program reads, and locks that can be trusted."""

import ast
import os
import re
import shutil
import subprocess
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
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from selfheal.server.api.routes.meta import info

from selfheal.server.app import create_runner_app
from tests.support.processes import clean_environment

_ROOT = Path(__file__).parents[2]
_PYPROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_PROJECT = _PYPROJECT["project"]
_PACKAGES = _PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
_ROOMS = ("app", "db", "graph", "optimizer", "server", "simulator")
_DATA = tuple(
    f"selfheal/{pattern}"
    for pattern in (
        "db/migrations/*.sql",
        "db/sql/*.sql",
        "graph/prompts/*.md",
        "optimizer/dataset/golden/*.jsonl",
        "optimizer/guardrails/vocabulary.txt",
        "optimizer/instructions/*.md",
        "simulator/bank/*.toml",
        "simulator/defects.toml",
    )
)
_PIN = re.compile(
    r"(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+?))?"
    r"(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})+)"
)
_READ_ALL = """
import sys
from importlib.resources import files
from pathlib import Path

from selfheal import app, db, graph, optimizer, server, simulator
from selfheal.db import migrate, queries
from selfheal.graph.prompts import first_prompts
from selfheal.optimizer.dataset import cases; from selfheal.optimizer import instructions
from selfheal.server import cli
from selfheal.simulator.bank import load_bank
from selfheal.simulator.defects import load_defects

for package in (app, db, graph, optimizer, server, simulator):
    assert Path(package.__file__).is_relative_to(sys.argv[1]), package.__file__
for file in (files("selfheal.db") / "sql").iterdir():
    assert queries.load(file.name.removesuffix(".sql")), file
for file in (files("selfheal.optimizer") / "instructions").iterdir():
    assert not file.name.endswith(".md") or instructions.load(file.name.removesuffix(".md")), file
assert migrate.migrations()
assert all(first_prompts().values())
assert len(cases.golden_requests()) >= 80
assert len(load_bank().tasks) >= 150
assert load_defects()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "dist", "demo-report")
    shutil.copytree(_ROOT, folder / "source", ignore=ignored)
    shutil.copy(_ROOT / ".gitignore", folder / "source")  # what it names stays out of a wheel
    _run("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=folder / "source")
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """Install the wheel, and nothing else, into a folder of its own."""
    target = wheel.parent / "target"
    options = ("--quiet", "--no-index", "--no-deps", "--target", str(target))
    _run("-m", "pip", "install", *options, str(wheel), cwd=wheel.parent)
    return target


def _run(*arguments: str, cwd: Path, **env: str) -> str:
    """Run this interpreter in another folder than the checkout; return what it prints."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        check=False,
        cwd=cwd,
        env=clean_environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_wheel_has_every_file_of_its_packages_and_no_other(wheel: Path) -> None:
    with ZipFile(wheel) as opened:
        shipped = {name for name in opened.namelist() if ".dist-info/" not in name}
    sources = wheel.parent / "source"
    wanted = {
        file.relative_to(sources).as_posix()
        for package in _PACKAGES
        for file in (sources / package).rglob("*")
        if file.is_file()
    }
    assert shipped == wanted
    for pattern in _DATA:
        assert any(PurePosixPath(name).match(pattern) for name in shipped), pattern


def test_the_installed_wheel_finds_what_it_reads(installed: Path, tmp_path: Path) -> None:
    _run("-c", _READ_ALL, str(installed), cwd=tmp_path, PYTHONPATH=str(installed))


def test_the_installed_programs_start(installed: Path, tmp_path: Path) -> None:
    path = str(installed)
    assert "SIMULATED" in _run("-m", "selfheal.simulator", "--help", cwd=tmp_path, PYTHONPATH=path)
    _run("-m", "selfheal.simulator", "--", sys.executable, "-c", "", cwd=tmp_path, PYTHONPATH=path)
    script = str(installed / "bin/selfheal")
    said = _run(script, "--version", cwd=tmp_path, PYTHONPATH=path)
    assert _PROJECT["version"] in said


def test_the_installed_wheel_makes_the_schema(
    installed: Path, tmp_path: Path, empty_url: str
) -> None:
    script = str(installed / "bin/selfheal")
    _run(script, "migrate", cwd=tmp_path, PYTHONPATH=str(installed), DATABASE_URL=empty_url)


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
    app = create_runner_app(SimpleNamespace(check=None))
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
    return sys.stdlib_module_names | brought | {*_PACKAGES}


def _only_developers_have(source: str) -> set[str]:
    """Return what a source imports that an installed service may lack."""
    return _imported(source) - _may_be_imported()


def _beside(file: Path) -> set[str]:
    """Return the modules beside a file: a script of the sandbox imports them by their own names."""
    return {each.stem for each in file.parent.glob("*.py")}


@pytest.mark.parametrize("package", _PACKAGES)
def test_the_product_imports_nothing_that_only_developers_have(package: str) -> None:
    files = sorted((_ROOT / package).rglob("*.py"))
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
