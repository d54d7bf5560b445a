"""The wheel, built from the sdist and installed outside of the checkout, in strange company."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import httpx
import pytest

from bench.harness.processes import clean_environment, started
from selfheal.graph.sandbox.selection import CHOICES, survey
from tests.support.command_line import commands_by_name

_ROOT = Path(__file__).parents[2]
_PACKAGES = sorted(each.name for each in (_ROOT / "selfheal").iterdir() if each.is_symlink())
_DATA = tuple(
    f"selfheal/{pattern}"
    for pattern in (
        "db/migrations/*.sql",
        "db/sql/*.sql",
        "graph/prompts/*.md",
        "optimizer/dataset/golden/*.jsonl",
        "optimizer/instructions/*.md",
        "simulator/bank/*.toml",
        "simulator/defects.toml",
    )
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
    assert Path(package.__file__).is_relative_to(sys.prefix), package.__file__
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
_RUN_IN_SANDBOX = """
import asyncio, json, sys
from selfheal.graph.sandbox.protocol import Program
from selfheal.graph.sandbox.selection import open_sandbox

async def main():
    async with open_sandbox(sys.argv[1]) as sandbox:
        ended = await sandbox.run(Program("def f(n):\\n    return n + 1", ("f(41)",)))
        print(json.dumps([ended.status, [each.value for each in ended.results]]))

asyncio.run(main())
"""
_AS_MODULE = ("-m", "selfheal.server")
_IMPORT_TIME = """
import sys, time
before, began = {*sys.modules}, time.perf_counter()
import selfheal
seconds = time.perf_counter() - began
foreign = {each.partition(".")[0] for each in {*sys.modules} - before} - sys.stdlib_module_names
assert foreign == {"selfheal"}, foreign
print(seconds)
"""


def _run(
    python: Path | str, *arguments: str, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a Python to its end in a folder."""
    return subprocess.run(
        [python, *arguments],
        check=False,
        cwd=cwd,
        env=clean_environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def _succeeds(
    python: Path | str, *arguments: str, cwd: Path, env: dict[str, str] | None = None
) -> str:
    """Return what a Python prints that must exit with 0."""
    ended = _run(python, *arguments, cwd=cwd, env=env)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def _copy_checkout(target: Path) -> Path:
    """Copy the sources as git checks them out: links stay links."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "dist", "demo-report")
    shutil.copytree(_ROOT, target, symlinks=True, ignore=ignored)
    shutil.copy(_ROOT / ".gitignore", target)  # what it names stays out of both distributions
    return target


def _build(kind: str, source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return _run(
        sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder), cwd=source
    )


def _built(kind: str, source: Path, folder: Path) -> Path:
    """Build a distribution of this kind, `sdist` or `wheel`; return its file."""
    ended = _build(kind, source, folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    [found] = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return found


def _files_of(wheel: Path) -> set[str]:
    """Return the names of a wheel's files, without its metadata."""
    with ZipFile(wheel) as opened:
        return {name for name in opened.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _copy_checkout(tmp_path_factory.mktemp("checkout") / "source")


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the unpacked sdist, and from nothing else."""
    folder = tmp_path_factory.mktemp("sdist")
    sdist = _built("sdist", checkout, folder)
    with tarfile.open(sdist) as opened:
        opened.extractall(folder, filter="data")
    [unpacked] = (each for each in folder.iterdir() if each.is_dir())
    return _built("wheel", unpacked, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def base_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment that has nothing else; no index can be asked."""
    folder = tmp_path_factory.mktemp("base")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    options = ("--quiet", "--disable-pip-version-check", "--no-index")
    _succeeds(
        sys.executable, "-m", "pip", "--python", str(python), "install", *options, str(wheel),
        cwd=wheel.parent,
    )  # fmt: skip
    return python


@pytest.fixture(scope="module")
def python(base_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment with the wheel and the service's dependencies, without the checkout.

    The dependencies are those of the tests' environment. Its own `.pth` files, of which one leads
    to the checkout, count only there.
    """
    folder = tmp_path_factory.mktemp("installed") / "env"
    shutil.copytree(base_python.parents[1], folder, symlinks=True)
    own = next(folder.glob("lib/python3*/site-packages"))
    dependencies = next(Path(sys.prefix).glob("lib/python3*/site-packages"))
    (own / "dependencies.pth").write_text(f"{dependencies}\n", encoding="utf-8")
    return folder / "bin" / "python"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a user's project whose modules have the names of our folders; importing one fails."""
    folder = tmp_path / "project"
    folder.mkdir()
    poison = 'raise RuntimeError(f"a user\'s module was imported: {__file__}")\n'
    for name in ("graph", "app"):
        (folder / f"{name}.py").write_text(poison, encoding="utf-8")
    for name in ("db", "server", "optimizer", "simulator", "bench", "tests"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(poison, encoding="utf-8")
    return folder


def test_both_ways_to_build_the_wheel_ship_the_same_files(
    checkout: Path, wheel: Path, tmp_path: Path
) -> None:
    """From the sdist, and from the checkout itself, as an installation from git does."""
    shipped = _files_of(wheel)
    assert shipped == _files_of(_built("wheel", checkout, tmp_path))
    wanted = {
        Path("selfheal", package, file.relative_to(checkout / package)).as_posix()
        for package in _PACKAGES
        for file in (checkout / package).rglob("*")
        if file.is_file()
    }
    assert shipped == wanted | {
        file.relative_to(checkout).as_posix()
        for file in (checkout / "selfheal").iterdir()
        if file.is_file()
    }
    for pattern in _DATA:
        assert any(PurePosixPath(name).match(pattern) for name in shipped), pattern


def test_the_wheel_installs_one_package(wheel: Path, base_python: Path) -> None:
    assert {PurePosixPath(name).parts[0] for name in _files_of(wheel)} == {"selfheal"}
    [folder] = base_python.parents[1].glob("lib/python3*/site-packages")
    assert {each.name.partition("-")[0] for each in folder.iterdir()} == {"selfheal"}


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
@pytest.mark.parametrize("package", _PACKAGES)
def test_a_checkout_without_symbolic_links_is_not_built(
    checkout: Path, tmp_path: Path, package: str, kind: str
) -> None:
    """Where there are no symbolic links, git writes a file that holds the link's target."""
    source = tmp_path / "source"
    shutil.copytree(checkout, source, symlinks=True)
    link = source / "selfheal" / package
    target = str(link.readlink())
    link.unlink()
    link.write_text(target, encoding="utf-8")
    ended = _build(kind, source, tmp_path / "dist")
    assert ended.returncode != 0
    assert f"selfheal/{package} is not a package" in ended.stderr
    assert "git clone -c core.symlinks=true" in ended.stderr


def test_the_base_package_imports_fast_and_without_dependencies(
    base_python: Path, tmp_path: Path
) -> None:
    times = [
        float(_succeeds(base_python, "-c", _IMPORT_TIME, cwd=tmp_path)) for _ in range(5)
    ]  # fmt: skip
    assert min(times) < 0.05


def test_the_installed_wheel_finds_what_it_reads(python: Path, project: Path) -> None:
    _succeeds(python, "-c", _READ_ALL, cwd=project.parent)


@pytest.mark.parametrize("name", [each for each in CHOICES if each != "auto"])
async def test_each_sandbox_runs_from_the_installed_wheel(
    python: Path, tmp_path: Path, name: str
) -> None:
    reasons = {each.name: each.reason for each in await survey() if not each.ok}
    if name in reasons:
        pytest.skip(f"NOT TESTED: {name} does not work here: {reasons[name]}")
    ended = json.loads(_succeeds(python, "-c", _RUN_IN_SANDBOX, name, cwd=tmp_path))
    assert ended == (["not_run", []] if name == "static" else ["ok", [42]])


def _beside(project: Path, env: dict[str, str]) -> dict[str, str]:
    """Return the environment of a user who has the project on the path of modules."""
    return {**env, "PYTHONPATH": f".{os.pathsep}{project}"}


def test_the_users_modules_would_be_imported(python: Path, project: Path) -> None:
    """The control: another program of the same environment does import them."""
    ended = _run(python, "-c", "import graph", cwd=project, env=_beside(project, {}))
    assert "a user's module was imported" in ended.stderr


@pytest.mark.parametrize("name", [*commands_by_name()])
def test_each_command_starts_beside_a_users_modules(python: Path, project: Path, name: str) -> None:
    env = _beside(project, {})
    script = str(python.with_name("selfheal"))
    for command, shown in (((script,), "selfheal"), (_AS_MODULE, "python -m selfheal.server")):
        said = _succeeds(python, *command, *name.split(), "--help", cwd=project, env=env)
        assert said.startswith(f"Usage: {shown} {name} ")


def test_the_simulator_starts_beside_a_users_modules(python: Path, project: Path) -> None:
    env, program = _beside(project, {}), ("-m", "selfheal.simulator")
    assert "SIMULATED" in _succeeds(python, *program, "--help", cwd=project, env=env)
    _succeeds(python, *program, "--", str(python), "-c", "", cwd=project, env=env)


async def test_a_service_works_beside_a_users_modules(
    python: Path, project: Path, empty_url: str, gemini: str, tmp_path: Path
) -> None:
    given = {
        "DATABASE_URL": empty_url,
        "GOOGLE_API_KEY": "simulated",
        "GOOGLE_GEMINI_BASE_URL": gemini,
        "SELFHEAL_DATA_DIR": str(tmp_path / "data"),
    }
    env, script = _beside(project, given), str(python.with_name("selfheal"))
    _succeeds(python, script, "migrate", cwd=project, env=env)
    _succeeds(python, script, "doctor", cwd=project, env=env)
    # The process is started in this test's folder: a shell goes to the project's first.
    serve = f'cd "{project}" && exec "{python}" "{script}" serve --port 0'
    says = r"serving on (http://\S+)"
    async with started("sh", "-c", serve, env=clean_environment(**env), says=says) as (_, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            body = {"assistant_id": "agent", "input": {"request": "Write is_leap_year(year)."}}
            answer = await client.post("/runs/wait", json=body)
        assert answer.json()["evaluation"]["passed"], answer.text


def test_the_simulator_starts_in_the_checkout() -> None:
    assert "SIMULATED" in _succeeds(sys.executable, "-m", "simulator", "--help", cwd=_ROOT)
