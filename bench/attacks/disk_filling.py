"""Attacks that fill the disk, which belongs to all."""

from bench.attacks.attack import PATIENT, Attack

CODE = """
import os
import time

def write(name, megabytes):
    with open(name, "wb", buffering=0) as file:
        for _ in range(megabytes):
            file.write(bytes(2**20))

def one_file(megabytes):
    write("one", megabytes)
    return os.stat("one").st_size == megabytes * 2**20

def many_files(number, megabytes):
    for each in range(number):
        write(f"many-{each}", megabytes)
    return len(os.listdir()) >= number

def deleted_files(number, megabytes):
    kept = []
    for each in range(number):
        file = open(f"deleted-{each}", "wb", buffering=0)
        os.unlink(file.name)
        kept.append(file)
        for _ in range(megabytes):
            file.write(bytes(2**20))
    time.sleep(0.5)  # what is there for less than a watcher's look does no harm
    return sum(os.fstat(file.fileno()).st_size for file in kept) == number * megabytes * 2**20

def mapped_files(number, megabytes):
    import mmap
    for each in range(number):
        with open(f"mapped-{each}", "w+b") as file:
            file.truncate(megabytes * 2**20)
            with mmap.mmap(file.fileno(), 0) as area:
                for page in range(0, len(area), 4096):
                    area[page] = 1
    return True

def sparse(gigabytes):
    with open("sparse", "wb") as file:
        file.truncate(gigabytes * 2**30)
    return True

def allocate(megabytes):
    with open("allocated", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, megabytes * 2**20)
    return True

def allocate_many(number, megabytes):
    for each in range(number):
        with open(f"allocated-{each}", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, megabytes * 2**20)
    __import__("time").sleep(0.3)
    return True

def empty_files(number):
    for each in range(number):
        os.close(os.open(str(each), os.O_CREAT | os.O_WRONLY))
    return len(os.listdir()) >= number

def folders(number):
    for each in range(number):
        os.mkdir(f"folder-{each}")
    return True

def deep(number):
    for each in range(number):
        os.mkdir("deeper")
        os.chdir("deeper")
    return True

def links(number):
    for each in range(number):
        os.symlink("x" * 200, f"link-{each}")
    return True

def append(path, number):
    for each in range(number):
        with open(path, "ab", buffering=0) as file:
            file.write(bytes(2**20))
    return True
"""


def _fill(name: str, tries: str, call: str, control: str = "") -> Attack:
    bounded = (control,) if control else ()
    return Attack(name, "filling", tries, CODE, (call,), control_calls=bounded, limits=PATIENT)


ATTACKS = (
    _fill("one_file", "write one file of 64 MB", "one_file(64)"),
    _fill("many_files", "write 40 files of 4 MB", "many_files(40, 4)", "many_files(10, 4)"),
    _fill("deleted_files", "write 40 files of 4 MB, deleted but open",
          "deleted_files(40, 4)", "deleted_files(10, 4)"),
    _fill("mapped_files", "write 40 files of 4 MB through memory",
          "mapped_files(40, 4)", "mapped_files(10, 4)"),
    _fill("sparse", "make a sparse file of 100 GB", "sparse(100)"),
    _fill("allocate", "allocate a file of 64 MB", "allocate(64)"),
    _fill("allocate_many", "allocate 40 files of 15 MB",
          "allocate_many(40, 15)", "allocate_many(4, 15)"),
    _fill("empty_files", "make 50,000 empty files", "empty_files(50_000)", "empty_files(1_100)"),
    _fill("folders", "make 50,000 folders", "folders(50_000)", "folders(1_100)"),
    _fill("deep", "make folders 50,000 deep", "deep(50_000)", "deep(500)"),
    _fill("links", "make 50,000 symbolic links", "links(50_000)", "links(1_100)"),
    _fill("standard_output", "write 64 MB to the file behind standard output",
          "append('/proc/self/fd/1', 64)"),
)  # fmt: skip
