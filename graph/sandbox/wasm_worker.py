"""A process that runs one program after another, each in a fresh instance of CPython on WASI.

Runs alone: `python -I -S -B wasm_worker.py FOLDER FILTER`, where FOLDER holds the package `eryx`
and FILTER is a seccomp filter in base 16, or empty where there is none. Standard input is a Unix
socket. A job is a line of three numbers, which limit memory, files and processor time, with four
descriptors: the packed program, and where its output, its error output and its events go. The
answer is the exit code that a process of its own would have had.
"""

import ctypes
import math
import os
import resource
import select
import socket
import sys
import threading

SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
PR_SET_NO_NEW_PRIVS = 38
OVERHEAD_BYTES = 256 * 2**20

TYPE_CHECKING = False  # as in `typing`, which takes long to import
if TYPE_CHECKING:
    from selfheal.graph.sandbox.landlock_launcher import FILTER_ENTRY_BYTES, FilterProgram
    from selfheal.graph.sandbox.wasm_engine import Engine
else:  # the script's folder is no package, and isolated Python does not look there by itself
    sys.path.insert(0, __file__.rpartition("/")[0])
    from landlock_launcher import FILTER_ENTRY_BYTES, FilterProgram
    from wasm_engine import Engine

    del sys.path[0]


def limit(memory_bytes: int, file_bytes: int, cpu_seconds: int) -> None:
    """Limit this process for the next program: in time, and in memory should the engine fail to.

    Only the soft limits change: they are renewed for each program.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(used.ru_utime + used.ru_stime) + cpu_seconds
    size = memory_bytes + file_bytes + OVERHEAD_BYTES
    for name, soft in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, size)):
        resource.setrlimit(name, (soft, resource.getrlimit(name)[1]))


def confine(rules: bytes) -> None:
    """Give up, in every thread, what only a broken engine would ask the kernel for.

    Where the kernel does not take the filter, the engine alone keeps the program in.
    """
    number = SYS_SECCOMP.get(os.uname().machine)
    if rules and number:
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        entries = ctypes.create_string_buffer(rules, len(rules))
        address = ctypes.cast(entries, ctypes.c_void_p)
        filters = FilterProgram(len(rules) // FILTER_ENTRY_BYTES, address)
        mode, flags = SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC
        libc.syscall(number, mode, flags, ctypes.byref(filters))


def end_with(parent: socket.socket) -> None:
    """Leave when the parent has gone, whatever a program is doing.

    The kernel's own signal for it would come when the parent's thread that started us ends.
    """
    poller = select.poll()
    poller.register(parent, 0)  # hang-ups only: what comes in is not for this thread
    poller.poll()
    os._exit(0)


def redirect(output: int, errors: int) -> None:
    """Let the guest's output, which is this process's, go elsewhere."""
    os.dup2(output, 1)
    os.dup2(errors, 2)


def serve(parent: socket.socket, packages: str, rules: bytes) -> None:
    """Take jobs until there is nobody to give any."""
    engine = None
    nowhere = os.open(os.devnull, os.O_RDWR)
    while True:
        line, fds, _, _ = socket.recv_fds(parent, 100, 4)
        if not line:
            return
        program, output, errors, events = fds
        redirect(output, errors)
        os.close(output)
        os.close(errors)
        if engine is None:  # now, so that what goes wrong is told where the program's errors go
            engine = Engine(packages)
            confine(rules)
        with os.fdopen(program, "rb") as file:
            packed = file.read()
        memory_bytes, file_bytes, cpu_seconds = map(int, line.split())
        engine.limit(memory_bytes, file_bytes)
        limit(memory_bytes, file_bytes, cpu_seconds)
        answer = engine.run(packed, events)
        redirect(nowhere, nowhere)
        os.close(events)
        parent.sendall(f"{answer}\n".encode())


def main(packages: str, rules: str) -> None:
    """Keep the socket from the guest, which is given this process's standard input."""
    parent = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    serve(parent, packages, bytes.fromhex(rules))


if __name__ == "__main__":
    main(*sys.argv[1:])
