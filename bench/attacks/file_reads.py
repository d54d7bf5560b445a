"""Attacks that read what is none of the program's business."""

from bench.attacks.attack import Attack

CODE = """
import os

def holds(path, words):
    with open(path, "rb") as file:
        return words.encode() in file.read()

def environment(name):
    return bool(os.environ[name])

def c_environment(name):
    import ctypes
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    return libc.getenv(name.encode()) is not None

def memory_file(pid, address, words):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        file.seek(address)
        return file.read(len(words)) == words.encode()

def listing(folder):
    return len(os.listdir(folder)) >= 0

def files_in(folder):
    return any(os.path.isfile(os.path.join(folder, name)) for name in os.listdir(folder))

def kernel_log():
    return len(os.read(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK), 8192)) > 0

def inherited(words):
    for number in range(3, 256):
        try:
            if words.encode() in os.pread(number, 4096, 0):
                return True
        except OSError:
            pass
    return False

def other_processes():
    return any(name.isdigit() and int(name) != os.getpid() for name in os.listdir("/proc"))

def link(path):
    return bool(os.readlink(path))

def symbolic(path, words):
    os.symlink(path, "link")
    return holds("link", words)

def hard(path, words):
    os.link(path, "hard")
    return holds("hard", words)

def climb(path, words):
    return holds("../" * 40 + path, words)

def by_descriptor(path, words):
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_PATH)
    file = os.open(os.path.basename(path), os.O_RDONLY, dir_fd=folder)
    return words.encode() in os.read(file, 4096)
"""


def _read(name: str, tries: str, *calls: str, needs: str = "") -> Attack:
    return Attack(name, "reading", tries, CODE, calls, needs=needs)


ATTACKS = (
    _read("passwd", "read the list of users", "holds('/etc/passwd', 'root:')"),
    _read("any_file", "read a file that every user may read", "holds({canary!r}, {token!r})"),
    _read("climb", "read it through ../..", "climb({canary!r}, {token!r})"),
    _read("by_descriptor", "read it by openat", "by_descriptor({canary!r}, {token!r})"),
    _read("symlink", "read it through a symbolic link", "symbolic({canary!r}, {token!r})"),
    _read("hard_link", "read it through a hard link", "hard({canary!r}, {token!r})"),
    _read("own_root", "read it through /proc/self/root",
          "holds('/proc/self/root' + {canary!r}, {token!r})"),
    _read("victims_root", "read it through the root of another process",
          "holds('/proc/{victim}/root' + {canary!r}, {token!r})"),
    _read("victims_file", "read another process's open file through /proc",
          "holds('/proc/{victim}/fd/{victim_fd}', {token!r})"),
    _read("environment", "read a secret of the service's environment", "environment({secret!r})"),
    _read("c_environment", "read it by the C library", "c_environment({secret!r})"),
    _read("victims_environment", "read another process's environment",
          "holds('/proc/{victim}/environ', {token!r})"),
    _read("victims_memory", "read another process's memory by /proc",
          "memory_file({victim}, {victim_address}, {token!r})"),
    _read("parents_command", "read the service's command line",
          "holds('/proc/{parent}/cmdline', 'python')"),
    _read("parents_maps", "read where the service's memory lies",
          "holds('/proc/{parent}/maps', 'python')"),
    _read("parents_folder", "find the service's folder", "link('/proc/{parent}/cwd')"),
    _read("processes", "list the processes of this machine", "other_processes()"),
    _read("source", "read the service's own source", "holds({source!r}, 'import')"),
    _read("home", "find files in the home folder", "files_in({home!r})",
          needs="a file in the home folder"),
    _read("temporary", "list a folder of the machine's temporary files", "listing({folder!r})"),
    _read("kernel_log", "read the kernel's log", "kernel_log()", needs="root"),
    _read("partitions", "read which disks there are", "holds('/proc/partitions', 'major')"),
    _read("mounts", "read what is mounted", "holds('/proc/self/mountinfo', ' / ')"),
    _read("inherited", "read a file that the service left open", "inherited({token!r})"),
)  # fmt: skip
