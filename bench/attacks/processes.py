"""Attacks that start another process, or one that outlives the program."""

from bench.attacks.attack import PATIENT, QUICK, Attack

CODE = """
import os, signal, sys, time

def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return ended(pid)

def bomb(number):
    children = []
    for _ in range(number):
        try:
            pid = os.fork()
        except OSError:
            continue
        if pid == 0:
            time.sleep(0.2)
            os._exit(0)
        children.append(pid)
    return len(children) >= 10 and all([ended(pid) for pid in children])

def orphan():
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(0.3)
        os._exit(0)
    return ended(pid)

def pseudo_terminal():
    import pty
    pid, _ = pty.fork()
    if pid == 0:
        os._exit(0)
    return ended(pid)

def spawned():
    return ended(os.posix_spawn(sys.executable, [sys.executable, "-I", "-S", "-c", "0"], {}))

def subprocessed():
    import subprocess
    return subprocess.run([sys.executable, "-I", "-S", "-c", "0"]).returncode == 0

def shell():
    return os.system("true") == 0

def multiprocessed():
    import multiprocessing
    process = multiprocessing.get_context("fork").Process(target=id, args=(1,))
    process.start()
    process.join()
    return process.exitcode == 0

def pool():
    import concurrent.futures, multiprocessing
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(1, context) as executor:
        return executor.submit(int, "1").result() == 1

def own_session():
    if os.getpid() == os.getsid(0):
        return os.getppid() > 0 and fork_session()
    os.setsid()
    return True

def fork_session():
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os._exit(0)
    return ended(pid)

def own_group():
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os._exit(0)
    return ended(pid)

def raw(number, *rest):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(number, *rest)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if result == 0:
        os._exit(0)
    return ended(result)

def raw_clone3(number):
    import ctypes, struct
    arguments = ctypes.create_string_buffer(struct.pack("11Q", 0, 0, 0, 0, 17, *[0] * 6))
    return raw(number, arguments, 88)

def by_memory_file(named, number, path):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    memory = libc.syscall(named, b"program", 0)
    if memory < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    with open(path, "rb") as file:
        os.write(memory, file.read())
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        arguments = (ctypes.c_char_p * 5)(b"python", b"-I", b"-S", b"--version", None)
        libc.syscall(number, memory, b"", arguments, (ctypes.c_char_p * 1)(None), 0x1000)
        os._exit(1)
    return ended(pid)

def by_32_bits():
    import ctypes, mmap
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("53b802000000cd805bc3"))  # the old gate: eax = 2 (fork); int 0x80
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    pid = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    if pid == 0:
        os._exit(0)
    if pid < 0:
        raise OSError(-pid, os.strerror(-pid))
    return ended(pid)

def threads(number):
    import threading
    threading.stack_size(32768)
    over = threading.Event()
    for _ in range(number):
        threading.Thread(target=over.wait, daemon=True).start()
    time.sleep(0.3)
    alive = threading.active_count()
    over.set()
    return alive >= number

def native_threads(number):
    import _thread
    _thread.stack_size(32768)
    over = _thread.allocate_lock()
    over.acquire()
    for _ in range(number):
        _thread.start_new_thread(over.acquire, ())
    time.sleep(0.3)
    return True
"""


def _start(
    name: str, tries: str, call: str, control: str = "", needs: str = "", patient: bool = False
) -> Attack:
    bounded = (control,) if control else ()
    limits = PATIENT if patient else QUICK
    return Attack(
        name, "processes", tries, CODE, (call,), control_calls=bounded, needs=needs, limits=limits
    )


_ON_X86 = "an x86-64 processor"
ATTACKS = (
    _start("fork", "fork", "fork()"),
    _start("fork_bomb", "fork 300 times", "bomb(300)", "bomb(20)"),
    _start("orphan", "leave a process behind in a session of its own", "orphan()"),
    _start("pseudo_terminal", "fork with a terminal", "pseudo_terminal()"),
    _start("posix_spawn", "start a program by posix_spawn", "spawned()"),
    _start("subprocess", "start a program by subprocess", "subprocessed()"),
    _start("shell", "run a shell", "shell()"),
    _start("multiprocessing", "start a process by multiprocessing", "multiprocessed()"),
    _start("process_pool", "start a pool of processes", "pool()"),
    _start("own_session", "leave its session", "own_session()"),
    _start("own_group", "leave its process group", "own_group()"),
    _start("system_call_fork", "fork by the bare system call", "raw({sys_fork})", needs=_ON_X86),
    _start("system_call_clone", "fork by clone", "raw({sys_clone}, 17, 0, 0, 0, 0)"),
    _start("system_call_clone3", "fork by clone3", "raw_clone3({sys_clone3})"),
    _start("old_gate", "fork by the 32-bit gate, past a 64-bit filter", "by_32_bits()",
           needs="an x86-64 kernel with 32-bit calls"),
    _start("memory_file", "run a program that exists in memory only",
           "by_memory_file({sys_memfd_create}, {sys_execveat}, sys.executable)"),
    _start("threads", "start 20,000 threads with tiny stacks", "threads(20_000)",
           "threads(1_000)", patient=True),
    _start("native_threads", "start 20,000 threads below threading", "native_threads(20_000)",
           "native_threads(1_000)", patient=True),
)  # fmt: skip
