"""Attacks by what the kernel keeps for a program outside of its memory: buffers, timers, locks."""

from dataclasses import replace

from bench.attacks.attack import PATIENT, Attack

SMALL = replace(PATIENT, memory_bytes=96 * 2**20)
CODE = """
import ctypes, fcntl, mmap, os, socket, struct, threading
libc = ctypes.CDLL(None, use_errno=True)
kept = []

def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def tried(use, *arguments):
    try:
        return use(*arguments)
    except OSError:
        return None

def filled(send):
    written = 0
    try:
        while True:
            written += send(bytes(65536))
    except BlockingIOError:
        return written

def in_sockets(pairs, megabytes):
    queued = 0
    for _ in range(pairs):
        pair = tried(socket.socketpair)
        if pair is None:
            break
        kept.append(pair)
        for each in pair:
            each.setblocking(False)
            tried(each.setsockopt, socket.SOL_SOCKET, socket.SO_SNDBUF, 2**24)
            queued += filled(each.send)
        if queued > megabytes * 2**20:
            break
    return queued > megabytes * 2**20

def in_pipes(number, megabytes):
    queued = 0
    for _ in range(number):
        pipe = tried(os.pipe)
        if pipe is None:
            break
        os.set_blocking(pipe[1], False)
        tried(fcntl.fcntl, pipe[1], 1031, 2**20)
        queued += filled(lambda data: os.write(pipe[1], data))
    return queued > megabytes * 2**20

def in_flight(number):
    one, other = socket.socketpair()
    for sent in range(number):
        reading, writing = os.pipe()
        socket.send_fds(one, [b"x"], [reading])
        os.close(reading)
        os.close(writing)
    kept.append((one, other))
    return True

def opened(number):
    for _ in range(number):
        kept.append(os.dup(1))

def own_tables(number, threads, each):
    failed = []
    def run():
        try:
            checked(libc.syscall(number, 1000, 2000, 2))
            opened(each)
        except OSError as problem:
            failed.append(problem)
    started = [threading.Thread(target=run) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return not failed

def own_table_of_a_thread():
    VM, FS, SIGHAND, THREAD, SYSVSEM = 0x100, 0x200, 0x800, 0x10000, 0x40000
    stack = mmap.mmap(-1, 65536)
    top = ctypes.addressof(ctypes.c_char.from_buffer(stack)) + 65536 - 64
    kept.append(stack)
    pause = ctypes.cast(libc.pause, ctypes.c_void_p)
    flags = VM | FS | SIGHAND | THREAD | SYSVSEM
    checked(libc.clone(pause, ctypes.c_void_p(top), flags, None))
    return True

def timers(number, count):
    event = struct.pack("qii", 0, 0, 1).ljust(64, b"\\0")  # SIGEV_NONE
    for _ in range(count):
        checked(libc.syscall(number, 1, event, ctypes.byref(ctypes.c_int())))
    return True

def locks(count):
    with open("locked", "w+b") as file, open("locked", "rb") as other:
        for each in range(count):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 2 * each)
        last = struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 2 * count - 2, 1, 0)
        kind, *_ = struct.unpack("hhqqi4x", fcntl.fcntl(other, 36, last))  # F_OFD_GETLK
    return kind == fcntl.F_WRLCK

def locks_of_files(count):
    with open("locked", "w+b") as file:
        for each in range(count):
            fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 2 * each, 1, 0))
    return True

def leased():
    with open("leased", "w+b") as file:
        fcntl.fcntl(file, 1024, fcntl.F_WRLCK)
    return True

def notified():
    fcntl.fcntl(os.open(".", os.O_RDONLY), 1026, 0x80000002)
    return True

def locked_memory(megabytes):
    area = mmap.mmap(-1, megabytes * 2**20)
    kept.append(area)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    checked(libc.mlock(ctypes.c_void_p(start), ctypes.c_size_t(len(area))))
    return True

def ruleset(number):
    attributes = struct.pack("Q", 1)
    kept.append(checked(libc.syscall(number, attributes, 8, 0)))
    return True

def filters(count):
    allow = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
    program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(allow))
    checked(libc.prctl(38, 1, 0, 0, 0))
    for _ in range(count):
        checked(libc.prctl(22, 2, program, 0, 0))
    return True

def watched_pipe():
    kept.append(os.pipe2(os.O_EXCL))
    return True
"""


def _keep(name: str, tries: str, call: str, control: str = "", needs: str = "") -> Attack:
    bounded = (control,) if control else ()
    return Attack(
        name, "objects", tries, CODE, (call,), control_calls=bounded, needs=needs, limits=SMALL
    )


ATTACKS = (
    _keep("socket_buffers", "queue 32 MB in sockets", "in_sockets(200, 32)"),
    _keep("pipe_buffers", "queue 8 MB in pipes", "in_pipes(400, 8)"),
    _keep("in_flight", "keep descriptors in flight", "in_flight(60)"),
    _keep("own_tables", "have 8 threads with descriptors of their own",
          "own_tables({sys_close_range}, 8, 50)", needs="Linux 5.9"),
    _keep("own_table", "start a thread with descriptors of its own", "own_table_of_a_thread()"),
    _keep("timers", "keep 1,000 timers", "timers({sys_timer_create}, 1000)"),
    _keep("locks", "lock 5,000 parts of a file", "locks(5_000)"),
    _keep("locks_of_files", "lock 5,000 parts of an open file", "locks_of_files(5_000)"),
    _keep("lease", "take a lease of a file", "leased()", needs="a file system with leases"),
    _keep("notify", "be notified of what happens in a folder", "notified()",
          needs="dnotify in the kernel"),
    _keep("locked_memory", "lock 4 MB of memory", "locked_memory(4)",
          needs="a limit of locked memory of 4 MB"),
    _keep("ruleset", "keep a set of Landlock's rules", "ruleset({sys_landlock_create_ruleset})",
          needs="Landlock"),
    _keep("filters", "load 10 filters of system calls", "filters(10)", needs="seccomp"),
    _keep("watched_pipe", "make a pipe for the kernel's notices", "watched_pipe()",
          needs="watch queues in the kernel"),
)  # fmt: skip
