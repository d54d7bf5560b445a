"""A lock installs on a later day: from an index that has a newer release of every package.

The index is local. Its wheels carry the real metadata of what is installed here, extras included,
and no code, but for what builds the checkout.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

_ROOT = Path(__file__).parents[2]
_BUILDS = {
    "editables",
    "hatchling",
    "packaging",
    "pathspec",
    "pluggy",
    "tomlkit",
    "trove-classifiers",
}
_ROOTS = {"langchain-google-genai", "psycopg", "uvicorn"}  # with extras among what they need
_PIN = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+?))? \\$", re.MULTILINE
)
_LOCK = "requirements.lock"
_METADATA = ("Requires-Dist", "Provides-Extra", "Requires-Python")


@dataclass(frozen=True)
class Wheel:
    """A wheel of the local index."""

    name: str
    version: str
    path: Path

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def _pins() -> dict[str, str]:
    """Return name to version of what the lock installs here, of a few packages and all they need.

    All of the lock would take pip a minute, and show no more.
    """
    pins = _PIN.finditer((_ROOT / _LOCK).read_text(encoding="utf-8"))
    wanted = [pin for pin in pins if not pin["marker"] or Marker(pin["marker"]).evaluate()]
    locked = {canonicalize_name(pin["name"]): pin["version"] for pin in wanted}
    found = set[NormalizedName]()
    left = {canonicalize_name(each) for each in (*_ROOTS, *_BUILDS)}
    while left:
        found.add(name := left.pop())
        needed = map(Requirement, distribution(name).requires or ())
        left |= {canonicalize_name(each.name) for each in needed} & locked.keys() - found
    return {name: locked[name] for name in found}


def _wheel(folder: Path, version: str, source: Distribution, *, code: bool) -> Wheel:
    """Write a wheel with a distribution's metadata under a version."""
    name = canonicalize_name(source.name)
    stem = f"{name.replace('-', '_')}-{version}"
    lines = ["Metadata-Version: 2.3", f"Name: {name}", f"Version: {version}"]
    for key in _METADATA:
        lines += [f"{key}: {value}" for value in source.metadata.get_all(key) or ()]
    info = f"{stem}.dist-info"
    contents = {
        f"{info}/METADATA": "\n".join(lines).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if code:
        contents |= _code(source)
        entry_points = source.read_text("entry_points.txt")
        if entry_points:
            contents[f"{info}/entry_points.txt"] = entry_points.encode()
    path = folder / f"{stem}-py3-none-any.whl"
    with ZipFile(path, "w") as wheel:
        record = []
        for file, content in contents.items():
            wheel.writestr(file, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record.append(f"{file},sha256={digest.decode()},{len(content)}")
        wheel.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,"]))
    return Wheel(name, version, path)


def _code(source: Distribution) -> dict[str, bytes]:
    found = {}
    for file in source.files or ():
        inside = not file.is_absolute() and ".." not in file.parts
        if inside and file.suffix != ".pyc" and ".dist-info" not in file.parts[0]:
            found[file.as_posix()] = Path(str(file.locate())).read_bytes()
    return found


@dataclass(frozen=True)
class Checkout:
    """A copy of the checkout whose locks name the wheels of the local index."""

    folder: Path
    index: Path

    def make(self, target: str) -> "subprocess.CompletedProcess[str]":
        """Run make with the local index alone and an empty home."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        env = kept | {
            "HOME": str(self.folder / "home"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": self.index.as_uri(),
        }
        return subprocess.run(
            ["make", f"PYTHON={sys.executable}", target],
            check=False,
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )

    def run(self, *arguments: str) -> str:
        """Run the environment's interpreter; return what it prints."""
        return subprocess.run(
            [".venv/bin/python", *arguments],
            check=True,
            cwd=self.folder,
            env={"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout

    def installed(self) -> dict[str, str]:
        """Return what is installed, name to version."""
        rows = json.loads(self.run("-m", "pip", "list", "--format", "json"))
        return {canonicalize_name(row["name"]): row["version"] for row in rows}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Copy the checkout; serve what the lock names, and a newer release of each."""
    folder, index = tmp_path / "checkout", tmp_path / "index"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "bench", "docs", "demo-report")
    shutil.copytree(_ROOT, folder, ignore=ignored)
    lock = []
    for name, version in _pins().items():
        place = index / name
        place.mkdir(parents=True)
        source, code = distribution(name), name in _BUILDS
        locked = _wheel(place, version, source, code=code)
        newer = _wheel(place, f"{version}.post9", source, code=code)
        lock.append(f"{name}=={version} --hash=sha256:{locked.sha256}")
        links = (f'<a href="{each.path.name}">{each.path.name}</a>' for each in (locked, newer))
        (place / "index.html").write_text("\n".join(links), encoding="utf-8")
    assert len(lock) > 30
    (folder / _LOCK).write_text("\n".join(lock), encoding="utf-8")
    return Checkout(folder, index)


def test_a_lock_installs_as_it_is_or_says_what_it_lacks(checkout: Checkout) -> None:
    made = checkout.make(".venv/runtime")
    assert made.returncode == 0, made.stdout + made.stderr
    wanted = _pins()
    assert {name: checkout.installed().get(name) for name in wanted} == wanted

    # Nothing is resolved, so what a lock lacks must be found before a command fails on it.
    lock = checkout.folder / _LOCK
    lines = lock.read_text(encoding="utf-8").splitlines()
    lock.write_text("\n".join(line for line in lines if not line.startswith("pydantic-core==")))
    checkout.run("-m", "pip", "uninstall", "--yes", "pydantic-core")
    (checkout.folder / ".venv/runtime").unlink()
    made = checkout.make(".venv/runtime")
    assert made.returncode != 0
    assert "requires pydantic-core, which is not installed" in made.stdout + made.stderr
    assert not (checkout.folder / ".venv/runtime").exists()
