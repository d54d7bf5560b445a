"""A script that runs one program after another, each in a fresh instance of CPython on WASI.

Run as `python -I -S -B wasm_worker.py FOLDER FILTER`: FOLDER holds the package `eryx`, FILTER is a
seccomp filter in base 16, or empty. Standard input is a Unix socket. A job is a line of three
numbers, the limits of memory, files and processor time, with four descriptors: of the packed
program, its output, its error output and its events. The answer is the exit code that a separate
process would have.
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
else:  # the script's folder is not a package, and isolated Python does not search it
    sys.path.insert(0, __file__.rpartition("/")[0])
    from landlock_launcher import FILTER_ENTRY_BYTES, FilterProgram
    from wasm_engine import Engine

    del sys.path[0]


def limit(memory_bytes: int, file_bytes: int, cpu_seconds: int) -> None:
    """Set the limits of this process for the next program; that of memory in case the engine fails.

    Only soft limits are set, since they change for each program.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(used.ru_utime + used.ru_stime) + cpu_seconds
    size = memory_bytes + file_bytes + OVERHEAD_BYTES
    for name, soft in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, size)):
        resource.setrlimit(name, (soft, resource.getrlimit(name)[1]))


def confine(rules: bytes) -> None:
    """Deny, in every thread, system calls that only a compromised engine would make.

    If the kernel does not accept the filter, the engine alone confines the program.
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
    """Exit when the parent has exited, whatever a program is doing.

    PR_SET_PDEATHSIG would already send its signal when the thread that started us ends.
    """
    poller = select.poll()
    poller.register(parent, 0)  # hang-ups only: another thread reads
    poller.poll()
    os._exit(0)


def redirect(output: int, errors: int) -> None:
    """Redirect the output of this process, which is the guest's."""
    os.dup2(output, 1)
    os.dup2(errors, 2)


def serve(parent: socket.socket, packages: str, rules: bytes) -> None:
    """Run jobs until the parent closes the socket."""
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
        if engine is None:  # now, so that its errors go to the program's error output
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
    """Serve the parent; the guest inherits standard input, so the socket is moved away from it."""
    parent = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    serve(parent, packages, bytes.fromhex(rules))


if __name__ == "__main__":
    main(*sys.argv[1:])
