"""Attacks that take more memory than a program may have: here 96 MB."""

from dataclasses import replace

from bench.attacks.attack import PATIENT, Attack

SMALL = replace(PATIENT, memory_bytes=96 * 2**20)
CODE = """
import mmap, os
kept = []

def at_once(megabytes):
    kept.append(bytearray(megabytes * 2**20))
    return True

def in_parts(megabytes):
    for _ in range(megabytes):
        kept.append(bytearray(2**20))
    return True

def small_parts(megabytes):
    for _ in range(megabytes):
        kept.append([(each, [each]) for each in range(2**13)])
    return True

def doubled(megabytes):
    text = "x"
    while len(text) < megabytes * 2**20:
        text += text
    return True

def mapped(megabytes, flags):
    kept.append(mmap.mmap(-1, megabytes * 2**20, flags=flags))
    return True

def mapped_in_parts(megabytes, flags):
    for _ in range(megabytes // 16):
        area = mmap.mmap(-1, 16 * 2**20, flags=flags)
        for page in range(0, len(area), 4096):
            area[page] = 1
        kept.append(area)
    return True

def segments(number, each, megabytes):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(megabytes // each):
        made = libc.syscall(number, 0, each * 2**20, 0o600)
        if made < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        kept.append(made)
    for made in kept:
        libc.shmctl(made, 0, None)
    return True

def memory_files(number, megabytes):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(megabytes // 16):
        made = libc.syscall(number, b"memory", 0)
        if made < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        os.write(made, bytes(16 * 2**20))
    return True

def in_threads(megabytes):
    import threading
    threads = [threading.Thread(target=in_parts, args=(megabytes // 8,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(kept) >= megabytes - 8

def by_malloc(megabytes):
    import ctypes
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    for _ in range(megabytes):
        area = libc.malloc(ctypes.c_size_t(2**20))
        if not area:
            raise MemoryError
        ctypes.memset(area, 1, 2**20)
    return True

def by_library():
    import zlib
    bomb = zlib.compress(bytes(2**26), 9)
    for _ in range(2):
        kept.append(zlib.decompress(bomb))
    return True

def in_pipes(number):
    for _ in range(number):
        pipe = os.pipe()
        os.set_blocking(pipe[1], False)
        kept.append(pipe)
        os.write(pipe[1], bytes(65536))
    return True

def cycles(number):
    class Deep:
        pass
    for _ in range(number):
        one = Deep()
        one.self = one
        one.data = bytes(10_000)
        kept.append(one)
    return True
"""


def _eat(name: str, tries: str, call: str, control: str = "", needs: str = "") -> Attack:
    bounded = (control,) if control else ()
    return Attack(
        name, "memory", tries, CODE, (call,), control_calls=bounded, needs=needs, limits=SMALL
    )


ATTACKS = (
    _eat("at_once", "take 4 GB at once", "at_once(4096)", "at_once(128)"),
    _eat("in_parts", "take 4 GB in parts of 1 MB", "in_parts(4096)", "in_parts(128)"),
    _eat("small_parts", "take 4 GB in small objects", "small_parts(4096)", "small_parts(128)"),
    _eat("doubled", "double a text until it has 4 GB", "doubled(4096)", "doubled(128)"),
    _eat("shared_map", "map 4 GB of shared memory", "mapped(4096, mmap.MAP_SHARED)",
         "mapped(128, mmap.MAP_SHARED)"),
    _eat("private_map", "map 4 GB of private memory",
         "mapped(4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)",
         "mapped(128, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)"),
    _eat("shared_maps", "map and use 4 GB of shared memory in parts",
         "mapped_in_parts(4096, mmap.MAP_SHARED)", "mapped_in_parts(128, mmap.MAP_SHARED)"),
    _eat("segments", "take 4 GB in shared segments", "segments({sys_shmget}, 64, 4096)",
         "segments({sys_shmget}, 64, 128)"),
    _eat("memory_files", "take 4 GB in files that exist in memory only",
         "memory_files({sys_memfd_create}, 4096)", "memory_files({sys_memfd_create}, 128)"),
    _eat("threads", "take 4 GB from eight threads", "in_threads(4096)", "in_threads(128)"),
    _eat("malloc", "take 4 GB from the C library", "by_malloc(4096)", "by_malloc(128)"),
    _eat("decompression", "decompress 128 MB", "by_library()"),
    _eat("pipes", "keep 25 MB in 400 pipes", "in_pipes(400)"),
    _eat("cycles", "take 4 GB in objects that refer to themselves",
         "cycles(400_000)", "cycles(15_000)"),
)  # fmt: skip
