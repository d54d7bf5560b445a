"""A script that restricts its process by Landlock and seccomp, then becomes the child.

Run as `python -I -S -B landlock_launcher.py JSON`; `landlock.py` writes the JSON. The order
matters: paths are opened before rights are dropped, and the seccomp filter comes last, since it
forbids what the steps before it need.
"""

import ctypes
import importlib.util
import json
import os
import signal
import sys

NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 22, 24
SECCOMP_MODE_FILTER = 2
CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 63
FILTER_ENTRY_BYTES = 8


class FilterProgram(ctypes.Structure):
    """The kernel's sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("entries", ctypes.c_void_p))


def restrict_files(readable: "list[str]", scratch: str) -> None:
    """Allow only reading the given paths and plain files in the scratch folder."""
    from py_landlock import AccessFs, Landlock  # noqa: PLC0415 - its folder joins sys.path in main

    lock = Landlock(strict=False)  # the self-test detects what an old kernel cannot restrict
    read, keep = AccessFs.READ_FILE, AccessFs.WRITE_FILE | AccessFs.TRUNCATE
    for path in readable:
        folder = AccessFs.READ_DIR if os.path.isdir(path) else AccessFs(0)  # noqa: PTH112
        lock.add_path_rule(path, access=read | folder)
    lock.add_path_rule("/dev/null", access=read | keep)
    lock.add_path_rule("/dev/zero", "/dev/urandom", access=read)
    # No folders, links or fifos, so that the parent measures and removes a flat folder.
    inside = read | AccessFs.READ_DIR | keep | AccessFs.MAKE_REG | AccessFs.REMOVE_FILE
    lock.add_path_rule(scratch, access=inside)
    lock.apply()


def user_nobody_reads(paths: "list[str]") -> bool:
    """Return whether user `nobody` can read the interpreter and the scratch folder."""
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        return all(os.access(path, os.R_OK, effective_ids=True) for path in paths)
    finally:
        os.seteuid(0)
        os.setegid(0)


def become_user_nobody() -> None:
    """Change to user `nobody` irrevocably."""
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def drop_capabilities(libc: ctypes.CDLL) -> None:
    """Drop all capabilities of the user.

    Raises:
        OSError: the kernel refused.
    """
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if libc.capset(header, nothing) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def drop_privileges(libc: ctypes.CDLL, scratch: str, as_nobody: bool) -> None:
    """Change to user `nobody` if wanted, and drop all capabilities."""
    if as_nobody:
        become_user_nobody()
    drop_capabilities(libc)
    libc.prctl(
        PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0
    )  # after the change of user, which resets it
    os.chdir(scratch)


def prepare_user_nobody(paths: "list[str]", scratch: str) -> bool:
    """Give the scratch folder to user `nobody` if it can run here; a container may forbid it."""
    if os.geteuid() != 0:
        return False
    try:
        os.chown(scratch, NOBODY, NOBODY)
        if user_nobody_reads([*paths, scratch]):
            return True
        os.chown(scratch, 0, 0)
    except PermissionError:
        pass
    return False


def restrict_calls(libc: ctypes.CDLL, program: bytes) -> None:
    """Load the seccomp filter.

    Raises:
        OSError: the kernel refused.
    """
    entries = ctypes.create_string_buffer(program, len(program))
    address = ctypes.cast(entries, ctypes.c_void_p)
    filters = FilterProgram(len(program) // FILTER_ENTRY_BYTES, address)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filters), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def main(text: str) -> None:
    """Restrict this process, then run the child in it.

    Raises:
        ImportError: the child's script cannot be loaded.
        OSError: the kernel refused a restriction.
    """
    lock = json.loads(text)
    sys.path.append(lock["packages"])
    libc = ctypes.CDLL(None, use_errno=True)
    spec = importlib.util.spec_from_file_location("child", lock["child"])
    if spec is None or spec.loader is None:
        raise ImportError(lock["child"])
    child = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(child)
    as_nobody = prepare_user_nobody(lock["importable"], lock["scratch"])
    restrict_files(lock["readable"], lock["scratch"])
    drop_privileges(libc, lock["scratch"], as_nobody)
    sys.path.remove(lock["packages"])
    restrict_calls(libc, bytes.fromhex(lock["filter"]))
    child.main(*lock["arguments"], packages=lock["given"])


if __name__ == "__main__":
    main(sys.argv[1])
