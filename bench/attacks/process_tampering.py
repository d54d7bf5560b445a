"""Attacks on another process: signals, limits, memory, descriptors. The victim is expendable."""

from bench.attacks.attack import Attack

CODE = """
import os, signal, time

def done(_):
    return True

def queued(pid):
    import ctypes
    checked(ctypes.CDLL(None, use_errno=True).sigqueue(pid, 9, None))
    return True

def by_descriptor(number, pid):
    signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL)
    return True

def raw(number, *rest):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    whole = (ctypes.c_long(each) if isinstance(each, int) else each for each in rest)
    return checked(libc.syscall(number, *whole))

def checked(result):
    import ctypes
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def lower_limit(pid):
    import resource
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (10, 10))
    return True

def raw_limit(number, pid):
    import ctypes, struct
    raw(number, pid, 7, ctypes.create_string_buffer(struct.pack("2Q", 10, 10)), None)
    return True

def trace(number, pid):
    import ctypes
    seize = 0x4206
    raw(number, seize, pid, None, None)
    return True

def vectors(address, length):
    import ctypes, struct
    buffer = ctypes.create_string_buffer(length)
    vector = lambda place: ctypes.create_string_buffer(struct.pack("2Q", place, length))
    return buffer, vector(ctypes.addressof(buffer)), vector(address)

def read_memory(number, pid, address, words):
    buffer, here, there = vectors(address, len(words))
    raw(number, pid, here, 1, there, 1, 0)
    return buffer.raw == words.encode()

def write_memory(number, pid, address, words):
    buffer, here, there = vectors(address, len(words))
    return raw(number, pid, here, 1, there, 1, 0) == len(words)

def steal_descriptor(number, pid, wanted, words):
    stolen = raw(number, os.pidfd_open(pid), wanted, 0)
    return os.pread(stolen, 100, 0) == words.encode()

def owner(set_owner, *arguments):
    import fcntl, socket
    one, other = socket.socketpair()
    fcntl.fcntl(one, 10, signal.SIGKILL)  # F_SETSIG
    set_owner(fcntl)(one, *arguments)
    fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC)
    other.send(b"x")
    return True

def compare(number, pid):
    return raw(number, os.getpid(), pid, 2, 0, 0) >= 0
"""


def _tamper(name: str, tries: str, call: str, needs: str = "") -> Attack:
    return Attack(name, "tampering", tries, CODE, (call,), needs=needs)


ATTACKS = (
    _tamper("kill", "kill another process", "done(os.kill({victim}, 9))"),
    _tamper("interrupt", "stop another process", "done(os.kill({victim}, signal.SIGSTOP))"),
    _tamper("kill_group", "kill another process group", "done(os.killpg({victim}, 9))"),
    # Signal 0 asks whether it might: were this sandbox to leak, the machine should survive it.
    _tamper("kill_all", "signal every process there is", "done(os.kill(-1, 0))"),
    _tamper("signal_parent", "signal the service", "done(os.kill({parent}, 0))"),
    _tamper("signal_own_group", "signal its own process group", "done(os.killpg(0, 0))"),
    _tamper("queue", "kill by sigqueue", "queued({victim})"),
    _tamper("kill_by_descriptor", "kill by a process descriptor",
            "by_descriptor({sys_pidfd_open}, {victim})"),
    _tamper("owner", "have a socket signal another process",
            "owner(lambda module: module.fcntl, 8, {victim})"),
    _tamper("owner_by_ioctl", "have it do so by another call",
            "owner(lambda module: module.ioctl, 0x8901, __import__('struct').pack('i', {victim}))"),
    _tamper("trace", "trace another process", "trace({sys_ptrace}, {victim})"),
    _tamper("read_memory", "read another process's memory",
            "read_memory({sys_process_vm_readv}, {victim}, {victim_address}, {token!r})"),
    _tamper("write_memory", "write another process's memory",
            "write_memory({sys_process_vm_writev}, {victim}, {victim_address}, {token!r})"),
    _tamper("steal_descriptor", "take another process's open file",
            "steal_descriptor({sys_pidfd_getfd}, {victim}, {victim_fd}, {token!r})"),
    _tamper("compare", "ask what it shares with another process",
            "compare({sys_kcmp}, {victim})", needs="kcmp in the kernel"),
    _tamper("limit", "lower another process's limits", "lower_limit({victim})"),
    _tamper("system_call_limit", "lower them by the bare system call",
            "raw_limit({sys_prlimit}, {victim})"),
    _tamper("priority", "make another process slow",
            "done(os.setpriority(os.PRIO_PROCESS, {victim}, 19))"),
    _tamper("processors", "bind another process to one processor",
            "done(os.sched_setaffinity({victim}, [min(os.sched_getaffinity({victim}))]))"),
    _tamper("schedule", "have another process run when nothing else does",
            "done(os.sched_setscheduler({victim}, os.SCHED_IDLE, os.sched_param(0)))"),
    _tamper("move_pages", "ask where another process's memory lies",
            "raw({sys_move_pages}, {victim}, 0, None, None, None, 0) == 0",
            needs="NUMA in the kernel"),
)  # fmt: skip
