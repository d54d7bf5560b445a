"""The system calls that are denied in sandboxes: one seccomp filter for all backends.

All others are allowed, since mounts or Landlock limit access to files. Denied calls fail with
EPERM, so that a program sees an ordinary PermissionError.
"""

import errno
import importlib
import os
from functools import cache
from types import ModuleType

from selfheal.graph.sandbox.protocol import SandboxUnavailable

REMEDY = (
    "Install libseccomp (Debian, Ubuntu: apt-get install libseccomp2) and `pip install pyseccomp`"
)

_PROCESSES = ("fork", "vfork", "setsid", "setpgid", "execveat")
# No signals at all: Landlock does not restrict them before Linux 6.12.
_SIGNALS = (
    "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open",
    "pidfd_send_signal", "pidfd_getfd", "ptrace", "process_vm_readv", "process_vm_writev",
    "process_madvise", "process_mrelease", "kcmp", "setpriority", "ioprio_set",
    "sched_setaffinity", "sched_setparam", "sched_setscheduler", "sched_setattr",
    "migrate_pages", "move_pages",
)  # fmt: skip
_NETWORK = ("socket", "connect", "bind", "listen", "accept", "accept4")
# Memory and messages that RLIMIT_AS does not count or that outlive the process.
_SHARED = (
    "memfd_create", "memfd_secret", "shmget", "shmat", "shmctl", "semget", "semop", "semtimedop",
    "semctl", "msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink", "mq_timedsend",
    "mq_timedreceive", "mq_notify",
)  # fmt: skip
# A process's kernel memory is bounded by its descriptors (RLIMIT_NOFILE) and their buffers, unless
# there are descriptors in flight (sendmsg), larger buffers (setsockopt), or other objects.
_KEPT = (
    "sendmsg", "sendmmsg", "setsockopt", "timer_create", "landlock_create_ruleset",
    "landlock_add_rule", "landlock_restrict_self",
)  # fmt: skip
# Landlock does not restrict these, and programs do not need them.
_ATTRIBUTES = (
    "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utime",
    "utimes", "utimensat", "futimesat", "setxattr", "lsetxattr", "fsetxattr", "removexattr",
    "lremovexattr", "fremovexattr", "truncate",
)  # fmt: skip
_SYSTEM = (
    "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "move_mount", "fsopen",
    "fsconfig", "fsmount", "fspick", "open_tree", "mount_setattr", "name_to_handle_at",
    "open_by_handle_at", "io_uring_setup", "io_uring_enter", "io_uring_register", "io_setup",
    "io_submit", "bpf", "userfaultfd", "perf_event_open", "fanotify_init", "inotify_init",
    "inotify_init1", "add_key", "request_key", "keyctl", "reboot", "kexec_load",
    "kexec_file_load", "init_module", "finit_module", "delete_module", "swapon", "swapoff",
    "syslog", "acct", "quotactl", "quotactl_fd", "settimeofday", "clock_settime",
    "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "iopl", "ioperm", "modify_ldt",
    "personality", "vhangup", "vmsplice", "lookup_dcookie", "nfsservctl", "uselib", "ustat",
    "sysfs", "seccomp",
)  # fmt: skip
# Calls newer than this list, whose numbers do not depend on the processor. Libraries fall back on
# other calls after ENOSYS.
NEWER = range(451, 512)
DENIED = (*_PROCESSES, *_SIGNALS, *_NETWORK, *_SHARED, *_KEPT, *_ATTRIBUTES, *_SYSTEM)

CLONE_FILES, CLONE_THREAD = 0x400, 0x10000
CLOSE_RANGE_UNSHARE = 2
PR_SET_SECCOMP = 22
F_SETLK, F_SETLKW = 6, 7
# Larger pipes, locks between descriptors of one process, leases, notifications, and signals that
# descriptors send.
DENIED_FCNTL = {
    "F_SETPIPE_SZ": 1031, "F_OFD_SETLK": 37, "F_OFD_SETLKW": 38, "F_SETLEASE": 1024,
    "F_NOTIFY": 1026, "F_SETOWN": 8, "F_SETSIG": 10, "F_SETOWN_EX": 15,
}  # fmt: skip
AF_UNIX, SOCK_STREAM, SOCK_TYPE_MASK = 1, 1, 0xF
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
FIOSETOWN, SIOCSPGRP = 0x8901, 0x8902
LOW_32_BITS = 0xFFFFFFFF  # the kernel reads no more of an ioctl's or a command's number


@cache
def filter_program() -> bytes:
    """Return the filter as BPF, for bubblewrap or for prctl.

    Raises:
        SandboxUnavailable: pyseccomp or libseccomp is not installed.
    """
    library = _pyseccomp()
    rules = library.SyscallFilter(library.ALLOW)
    deny = library.ERRNO(errno.EPERM)
    for name in DENIED:
        if _known(library, name):
            rules.add_rule(deny, name)
    for number in NEWER:
        rules.add_rule(library.ERRNO(errno.ENOSYS), number)
    _deny_partly(library, rules, deny)
    return _exported(rules)


def _pyseccomp() -> ModuleType:
    # Imported late: the import fails where libseccomp is missing, and takes 15 ms where it is not.
    try:
        return importlib.import_module("pyseccomp")
    except (ImportError, RuntimeError, OSError) as problem:
        raise SandboxUnavailable(f"seccomp is not available: {problem}", REMEDY) from problem


def _known(library: ModuleType, name: str) -> bool:
    """Return whether this libseccomp and this processor have a call."""
    try:
        return int(library.resolve_syscall(library.Arch.NATIVE, name)) >= 0
    except (OSError, ValueError):
        return False


def _deny_partly(library: ModuleType, rules: object, deny: int) -> None:
    """Deny calls that are harmless only with certain arguments."""
    add, arg = rules.add_rule, library.Arg  # type: ignore[attr-defined]
    # Threads are allowed, processes are not. A filter cannot read the arguments of clone3; after
    # ENOSYS the C library uses clone.
    for needed in (CLONE_THREAD, CLONE_FILES):  # each descriptor table has its own limit
        add(deny, "clone", arg(0, library.MASKED_EQ, needed, 0))
    add(deny, "close_range", arg(2, library.MASKED_EQ, CLOSE_RANGE_UNSHARE, CLOSE_RANGE_UNSHARE))
    add(library.ERRNO(errno.ENOSYS), "clone3")
    add(deny, "prlimit64", arg(0, library.NE, 0))  # another process's limits
    # asyncio needs a stream pair; a datagram pair could send to any socket's path.
    add(deny, "socketpair", arg(0, library.NE, AF_UNIX))
    for kind in range(SOCK_TYPE_MASK + 1):
        if kind != SOCK_STREAM:
            add(deny, "socketpair", arg(1, library.MASKED_EQ, SOCK_TYPE_MASK, kind))
    # Input into the operator's terminal, and signals by a socket.
    for request in (TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP):
        add(deny, "ioctl", arg(1, library.MASKED_EQ, LOW_32_BITS, request))
    _deny_objects(library, rules, deny)


def _deny_objects(library: ModuleType, rules: object, deny: int) -> None:
    """Deny what takes kernel memory that the limit of descriptors does not bound."""
    add, arg = rules.add_rule, library.Arg  # type: ignore[attr-defined]
    for command in DENIED_FCNTL.values():
        add(deny, "fcntl", arg(1, library.MASKED_EQ, LOW_32_BITS, command))
    # The kernel keeps an unlimited list of the locks of a process. They exclude only other
    # processes, and there are none: they succeed without effect, so that SQLite works.
    for command in (F_SETLK, F_SETLKW):
        add(library.ERRNO(0), "fcntl", arg(1, library.MASKED_EQ, LOW_32_BITS, command))
    add(deny, "prctl", arg(0, library.MASKED_EQ, LOW_32_BITS, PR_SET_SECCOMP))
    add(deny, "pipe2", arg(1, library.MASKED_EQ, os.O_EXCL, os.O_EXCL))  # a notification pipe


def _exported(rules: object) -> bytes:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb") as target:
        rules.export_bpf(target)  # type: ignore[attr-defined]
        target.close()
        return source.read()
