"""Scripts of the official JavaScript client, where Node and its packages can be had."""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.harness.processes import clean_environment

_SCRIPTS = Path(__file__).with_name("js")
_UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "E401", "E403")
_OLDEST = 20
_INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")


def installed() -> Path:
    """Return a folder that has the client as the lock file pins it; skip the test without one.

    It is kept for later runs in the user's cache folder, one for each lock file.
    """
    npm = shutil.which("npm")
    if npm is None or _node_version() < _OLDEST:
        pytest.skip(f"no Node {_OLDEST} and npm here: the JavaScript client was NOT checked")
    lock = (_SCRIPTS / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selfheal-tests"
    folder = cache / f"js-{hashlib.sha256(lock).hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "js.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _install(npm, folder)
    return folder


def _node_version() -> int:
    """Return the major version of Node, 0 if there is none."""
    if (node := shutil.which("node")) is None:
        return 0
    said = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout
    return int(said.removeprefix("v").partition(".")[0])


def _install(npm: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_SCRIPTS / name, folder)
    ended = subprocess.run(
        [npm, *_INSTALL], cwd=folder, check=False, capture_output=True, text=True, timeout=300
    )
    if any(each in ended.stderr for each in _UNREACHABLE):
        pytest.skip("npm's registry cannot be reached: the JavaScript client was NOT checked")
    assert ended.returncode == 0, ended.stderr
    (folder / "complete").touch()


async def printed(folder: Path, name: str, *arguments: str, seconds: float = 180) -> Any:
    """Run a script of tests/support/js beside the packages; return the JSON that it prints.

    Raises:
        AssertionError: it failed.
        TimeoutError: it took too long.
    """
    script = folder / name  # a copy: modules are looked for beside the file itself
    text = (_SCRIPTS / name).read_text(encoding="utf-8")
    if not script.exists() or script.read_text(encoding="utf-8") != text:
        fresh = script.with_suffix(f".{os.getpid()}")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(script)
    running = await asyncio.create_subprocess_exec(
        "node",
        str(script),
        *arguments,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(running.communicate(), seconds)
    except TimeoutError:
        running.kill()
        await running.wait()
        raise
    assert running.returncode == 0, err.decode()
    return json.loads(out)
