"""Attacks on the kernel: doors that have led out of sandboxes before, and privileges."""

from bench.attacks.attack import Attack

CODE = """
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
NEW_USER = 0x10000000

def raw(number, *rest):
    return checked(libc.syscall(number, *rest))

def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def descriptor(number, *rest):
    os.close(raw(number, *rest))
    return True

def zeroes(size):
    return ctypes.create_string_buffer(size)

def userfault(number):
    try:
        return descriptor(number, 1)
    except OSError:
        return descriptor(number, 0)

def new_map(number):
    return descriptor(number, 0, array_of_one(), 72)

def array_of_one():
    return ctypes.create_string_buffer(struct.pack("4I", 2, 4, 4, 1), 72)

def counted(number):
    attributes = struct.pack("2I2Q", 1, 112, 0, 0).ljust(40, b"\\0") + struct.pack("Q", 0x61)
    return descriptor(number, ctypes.create_string_buffer(attributes, 112), 0, -1, -1, 0)

def ring(number):
    return descriptor(number, 4, zeroes(120))

def remember(number):
    return raw(number, b"user", b"selfheal-attack", b"x", 1, -1) > 0  # -1: this thread's own ring

def keyring(number):
    return raw(number, 0, -2, 1) != 0  # find, or make, the process's own ring

def memory_file(number):
    return descriptor(number, b"hidden", 0)

def segment(number):
    shared = raw(number, 0, 4096, 0o600)
    checked(libc.shmctl(shared, 0, None))
    return True

def queue(number):
    made = raw(number, b"selfheal-attack", os.O_CREAT | os.O_RDWR, 0o600, None)
    os.close(made)
    checked(ctypes.CDLL("librt.so.1", use_errno=True).mq_unlink(b"/selfheal-attack"))
    return True

def mounted():
    os.mkdir("mounted")
    checked(libc.mount(b"none", b"mounted", b"tmpfs", 0, None))
    checked(libc.umount(b"mounted"))
    return True

def own_namespace(number, kind):
    raw(number, kind)
    return True

def join(number, pid):
    return raw(number, os.open(f"/proc/{pid}/ns/uts", os.O_RDONLY), 0) == 0

def changed_root(number):
    return raw(number, b".") == 0

def handle(number, path):
    buffer = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 136)
    mount = ctypes.c_int()
    return raw(number, -100, path.encode(), buffer, ctypes.byref(mount), 0) == 0

def personality(number):
    was = raw(number, ctypes.c_ulong(0xFFFFFFFF))
    raw(number, ctypes.c_ulong(was | 0x0040000))
    return raw(number, ctypes.c_ulong(0xFFFFFFFF)) == was | 0x0040000

def typed():
    import fcntl
    _, terminal = os.openpty()
    fcntl.ioctl(terminal, 0x5412, b"x")
    return True

def typed_with_high_bits():
    _, terminal = os.openpty()
    checked(libc.ioctl(terminal, ctypes.c_ulong(0x7FFF00005412), b"x"))
    return True

def become(user):
    os.setresuid(user, user, user)
    return os.getuid() == user

def become_root():
    return become(0) and capable()

def capable():
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    checked(libc.capget(header, data))
    return any(data)

def privileges_to_gain():
    return libc.prctl(39, 0, 0, 0, 0) == 0

def unfiltered():
    return libc.prctl(21, 0, 0, 0, 0) == 0

def raised_limit():
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY:
        return True
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return True

def named():
    import socket
    socket.sethostname(socket.gethostname())
    return True

def clock():
    import time
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    return True

def watch(path):
    os.close(checked(libc.inotify_init1(0)))
    return True
"""


def _door(name: str, tries: str, call: str, needs: str = "") -> Attack:
    return Attack(name, "kernel", tries, CODE, (call,), needs=needs)


ATTACKS = (
    _door("io_uring", "set up a ring", "ring({sys_io_uring_setup})", "io_uring in the kernel"),
    _door("userfaultfd", "handle its own page faults", "userfault({sys_userfaultfd})",
          "userfaultfd in the kernel"),
    _door("bpf", "make a map for kernel programs", "new_map({sys_bpf})", "root, or bpf for all"),
    _door("perf_event_open", "count what the machine does", "counted({sys_perf_event_open})",
          "root, or perf for all"),
    _door("add_key", "keep a key in the kernel", "remember({sys_add_key})", "kernel keyrings"),
    _door("keyctl", "use the kernel's keyring", "keyring({sys_keyctl})", "kernel keyrings"),
    _door("memfd_create", "make a file in memory", "memory_file({sys_memfd_create})"),
    _door("shmget", "make a shared segment, which outlives it", "segment({sys_shmget})"),
    _door("mq_open", "make a message queue, which outlives it", "queue({sys_mq_open})",
          "POSIX message queues"),
    _door("unshare_user", "make a user namespace", "own_namespace({sys_unshare}, NEW_USER)",
          "user namespaces"),
    _door("unshare_network", "make a network namespace",
          "own_namespace({sys_unshare}, NEW_USER | 0x40000000)", "user namespaces"),
    _door("unshare_mounts", "make a mount namespace", "own_namespace({sys_unshare}, 0x20000)",
          "root"),
    _door("setns", "join another process's namespace", "join({sys_setns}, {victim})", "root"),
    _door("chroot", "change its root", "changed_root({sys_chroot})", "root"),
    _door("mount", "mount a file system", "mounted()", "root"),
    _door("handle", "name a file by its handle", "handle({sys_name_to_handle_at}, os.getcwd())",
          "a file system with handles"),
    _door("personality", "turn off the scattering of addresses",
          "personality({sys_personality})"),
    _door("terminal", "type into a terminal", "typed()", "root, or TIOCSTI for all"),
    _door("terminal_high_bits", "type into one, with bits set that the kernel ignores",
          "typed_with_high_bits()", "root, or TIOCSTI for all"),
    _door("become_root", "become root, with its powers", "become_root()", "root"),
    _door("become_another", "become another user", "become(1234)", "root"),
    _door("capabilities", "hold any capability", "capable()", "root"),
    _door("set_user_id", "gain privileges by running a set-user-id program",
          "privileges_to_gain()"),
    _door("unfiltered", "make any system call", "unfiltered()"),
    _door("raise_limit", "lift its own memory limit", "raised_limit()"),
    _door("hostname", "rename the machine", "named()", "root"),
    _door("clock", "set the clock", "clock()", "root"),
    _door("inotify", "watch files", "watch('.')"),
)  # fmt: skip
