"""The numbers of system calls, for attacks that go past every library.

On a processor that is not listed the numbers are -1, which no kernel knows: the attack is refused
and its control is unavailable, and the table says so.
"""

import os

_X86_64 = {
    "fork": 57, "vfork": 58, "clone": 56, "socket": 41, "ptrace": 101, "shmget": 29, "mount": 165,
    "unshare": 272, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311,
    "perf_event_open": 298, "bpf": 321, "userfaultfd": 323, "keyctl": 250, "add_key": 248,
    "memfd_create": 319, "execveat": 322, "open_by_handle_at": 304, "name_to_handle_at": 303,
    "personality": 135, "chroot": 161, "prlimit": 302, "kcmp": 312, "mq_open": 240,
    "timer_create": 222, "io_setup": 206, "pivot_root": 155, "quotactl": 179, "move_pages": 279,
}  # fmt: skip
_AARCH64 = {
    "fork": -1, "vfork": -1, "clone": 220, "socket": 198, "ptrace": 117, "shmget": 194, "mount": 40,
    "unshare": 97, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271,
    "perf_event_open": 241, "bpf": 280, "userfaultfd": 282, "keyctl": 219, "add_key": 217,
    "memfd_create": 279, "execveat": 281, "open_by_handle_at": 265, "name_to_handle_at": 264,
    "personality": 92, "chroot": 51, "prlimit": 261, "kcmp": 272, "mq_open": 180,
    "timer_create": 107, "io_setup": 0, "pivot_root": 41, "quotactl": 60, "move_pages": 239,
}  # fmt: skip
_SINCE_424 = {  # one number on every processor
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "fsopen": 430,
    "pidfd_open": 434, "clone3": 435, "close_range": 436, "landlock_create_ruleset": 444,
    "pidfd_getfd": 438, "process_madvise": 440,
}  # fmt: skip

_KNOWN = {"x86_64": _X86_64, "aarch64": _AARCH64}.get(os.uname().machine)
NUMBERS: dict[str, int] = {
    f"sys_{name}": number if _KNOWN else -1
    for name, number in ((_KNOWN or _X86_64) | _SINCE_424).items()
}
