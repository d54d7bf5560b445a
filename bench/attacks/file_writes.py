"""Attacks that change what lies outside the program's own folder."""

from bench.attacks.attack import Attack

CODE = """
import os, stat, sys

def append(path):
    with open(path, "a") as file:
        return file.write("x") == 1

def create(folder):
    path = os.path.join(folder, "created")
    with open(path, "x") as file:
        file.write("x")
    return os.path.exists(path)

def and_remove(folder):
    created = create(folder)
    os.unlink(os.path.join(folder, "created"))
    return created

def truncating_open(path):
    os.close(os.open(path, os.O_RDONLY | os.O_TRUNC))
    return os.stat(path).st_size == 0

def done(_):
    return True

def changed_mode(path):
    os.chmod(path, 0o600)
    return stat.S_IMODE(os.stat(path).st_mode) == 0o600

def changed_times(path):
    os.utime(path, (1, 1))
    return os.stat(path).st_mtime == 1

def by_symbolic_link(path):
    os.symlink(path, "link")
    return append("link")

def by_hard_link(path):
    os.link(path, "hard")
    return append("hard")

def rename_out(folder):
    open("own", "w").close()
    os.rename("own", os.path.join(folder, "renamed"))
    return True

def replace(path):
    open("own", "w").close()
    os.replace("own", path)
    return True

def opened_for_writing(path):
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
    return True

def own_source():
    return opened_for_writing(sys.modules["__main__"].__file__)

def device():
    os.mknod("device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    return stat.S_ISCHR(os.stat("device").st_mode)

def set_user_id():
    open("own", "w").close()
    os.chmod("own", 0o4755)
    return bool(os.stat("own").st_mode & stat.S_ISUID)

def locked(path):
    import fcntl
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
"""


def _write(name: str, tries: str, call: str, needs: str = "") -> Attack:
    return Attack(name, "writing", tries, CODE, (call,), needs=needs)


ATTACKS = (
    _write("append", "append to a file that every user may write", "append({outside!r})"),
    _write("create", "make a file in a folder open to all", "create({folder!r})"),
    _write("tmp", "make a file in /tmp", "and_remove('/tmp')"),
    _write("shared_memory", "make a file in /dev/shm", "and_remove('/dev/shm')"),
    _write("open_truncating", "empty a file by opening it to read",
           "truncating_open({outside!r})"),
    _write("truncate", "empty a file by truncate", "done(os.truncate({outside!r}, 0))"),
    _write("chmod", "change a file's mode", "changed_mode({canary!r})"),
    _write("utime", "change a file's times", "changed_times({canary!r})"),
    _write("touch", "set a file's times to now", "done(os.utime({outside!r}))"),
    _write("chown", "change a file's owner", "done(os.chown({canary!r}, 1, 1))", needs="root"),
    _write("attribute", "set an attribute of a file",
           "done(os.setxattr({outside!r}, 'user.x', b'x'))",
           needs="a file system with attributes"),
    _write("unlink", "delete a file", "done(os.unlink({outside!r}))"),
    _write("mkdir", "make a folder", "done(os.mkdir({folder!r} + '/made'))"),
    _write("fifo", "make a fifo", "done(os.mkfifo({folder!r} + '/made'))"),
    _write("symbolic_link", "write through a symbolic link", "by_symbolic_link({outside!r})"),
    _write("hard_link", "write through a hard link", "by_hard_link({outside!r})"),
    _write("rename_out", "move a file of its own out of its folder", "rename_out({folder!r})"),
    _write("replace", "put a file of its own in another's place", "replace({outside!r})"),
    _write("rename", "rename another's file", "done(os.rename({outside!r}, {folder!r} + '/x'))"),
    _write("library", "open the standard library for writing",
           "opened_for_writing(os.__file__)", needs="root"),
    _write("own_source", "open the source of the process that runs it for writing",
           "own_source()", needs="the owner of the source"),
    _write("service_source", "open the service's source for writing",
           "opened_for_writing({source!r})", needs="the owner of the source"),
    _write("device", "make a device", "device()", needs="root"),
    _write("set_user_id", "make a program that runs as its owner", "set_user_id()"),
    _write("lock", "lock another's file", "locked({outside!r})"),
)  # fmt: skip
