"""What a program cannot reach; attacks are in test_conformance.py."""

import os
from pathlib import Path

import pytest

from selfheal.graph.sandbox.protocol import (
    CallResult,
    Sandbox,
)
from tests.support.sandboxes import attack, kernel, raised


def open_to_all(folder: Path) -> Path:
    victim = folder / "victim"
    victim.write_text("whole")
    victim.chmod(0o666)
    folder.chmod(0o777)
    return victim


def traits(path: Path) -> tuple[object, ...]:
    status = path.stat()
    return status.st_mode, status.st_mtime, status.st_uid, path.read_text()


async def test_the_environment_is_empty_of_ours(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "a-secret")
    run = await attack(sandbox, "import os", "sorted(os.environ)")
    allowed = {"HOME", "LC_ALL", "MALLOC_ARENA_MAX", "PATH", "PWD", "TMPDIR"}
    names = run.results[0].value
    assert isinstance(names, list)
    assert set(names) <= allowed
    if sandbox.name != "wasm":  # no ctypes there
        code = "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.getenv.restype = ctypes.c_char_p"
        run = await attack(sandbox, code, "libc.getenv(b'GOOGLE_API_KEY')")
        assert run.results == (CallResult("libc.getenv(b'GOOGLE_API_KEY')", None, None, ""),)


FORKS = [
    "os.fork()", "os.forkpty()", "subprocess.run(['/bin/true'])", "os.system('true') and 1/0",
    "os.posix_spawn('/bin/true', ['true'], {})", "multiprocessing.Process(target=id).start()",
    "raw(56, 17, 0, 0, 0, 0)", "raw(435, 0, 0)", "raw(57)", "raw(58)",
]  # fmt: skip


@kernel
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86_64")
async def test_kernel_doors_are_shut(sandbox: Sandbox) -> None:
    numbers = {
        "ptrace": 101, "process_vm_readv": 310, "unshare": 272, "setns": 308, "mount": 165,
        "bpf": 321, "userfaultfd": 323, "keyctl": 250, "perf_event_open": 298, "memfd_create": 319,
        "io_uring_setup": 425, "chroot": 161, "pidfd_getfd": 438, "shmget": 29, "personality": 135,
        "add_key": 248, "open_by_handle_at": 304, "clone3": 435, "setxattrat": 463, "x32": 2**30,
    }  # fmt: skip
    code = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def raw(number):
    return libc.syscall(number, 0x10000000, 0, 0, 0, 0), errno.errorcode[ctypes.get_errno()]
"""
    for name, number in numbers.items():
        run = await attack(sandbox, code, f"raw({number})")
        if run.status == "ok":
            assert run.results[0].value in [(-1, "EPERM"), (-1, "ENOSYS")], name
        else:
            assert (name, run.detail[:16]) == ("x32", "killed by SIGSYS")


@kernel
async def test_no_privilege_is_left(sandbox: Sandbox) -> None:
    code = """
import ctypes, os
libc = ctypes.CDLL(None)
def capabilities():
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    return libc.capget(header, data), list(data)
"""
    calls = ("capabilities()", "os.seteuid(1234)", "libc.prctl(39, 0, 0, 0, 0)")
    run = await attack(sandbox, code, *calls)
    assert run.results[0].value == (0, [0] * 6)
    assert raised(run.results[1]) in {"PermissionError", "OSError"}
    assert run.results[2].value == 1  # no new privileges, for good
