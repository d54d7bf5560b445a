"""The files of this machine that sandboxed programs may read: Python's, and C libraries."""

import importlib.util
import marshal
import sys
import sysconfig
from functools import cache
from pathlib import Path

CHILD = Path(__file__).with_name("child.py")
CHILD_VALUES = CHILD.with_name("child_values.py")
ENVIRONMENT = {
    "PATH": "/usr/bin",
    "LC_ALL": "C.UTF-8",
    "MALLOC_ARENA_MAX": "1",  # one arena per thread would use up the address space
}
# Numeric libraries start a thread for each core, and each takes address space.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
FLAGS = ("-I", "-S", "-B", "-u", "-X", "utf8")
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64")
_DATA = ("/etc/ld.so.cache", "/usr/share/zoneinfo")


@cache
def executable() -> Path:
    """Return the interpreter that the virtual environment is based on."""
    name = Path("bin") / f"python{sys.version_info.major}.{sys.version_info.minor}"
    prefix = Path(sys.base_prefix).resolve()
    found = prefix / name
    return found if found.exists() else Path(sys.executable).resolve()


def compiled(script: Path) -> bytes:
    """Return the content of a script's .pyc file, which runs without its source."""
    code = compile(script.read_text(encoding="utf-8"), script.name, "exec", dont_inherit=True)
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)


@cache
def standard_library() -> Path:
    """Return the folder of the standard library, not that of a virtual environment."""
    prefix = str(Path(sys.base_prefix).resolve())
    return Path(sysconfig.get_path("stdlib", vars={"installed_base": prefix}))


@cache
def readable() -> tuple[Path, ...]:
    """Return the files and folders that Python needs."""
    python = [executable(), standard_library(), *executable().parent.parent.glob("lib/libpython*")]
    system = [Path(name) for name in (*_LIBRARIES, *_DATA)]
    return tuple(path for path in (*system, *python) if path.exists())


@cache
def foreign_packages() -> tuple[Path, ...]:
    """Return the folders inside the standard library's that hold installed packages."""
    folders = (standard_library() / name for name in ("site-packages", "dist-packages"))
    return tuple(folder for folder in folders if folder.is_dir())
