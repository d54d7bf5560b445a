"""Attacks by sheer size: of output."""

from bench.attacks.attack import PATIENT, Attack

CODE = """
import os, sys

def output(stream, megabytes):
    for _ in range(megabytes):
        getattr(sys, stream).write("x" * 2**20)
    return True

def descriptor(number, megabytes):
    for _ in range(megabytes * 16):
        os.write(number, b"x" * 65536)
    return True

def lines(megabytes):
    for _ in range(megabytes * 2**10):
        print("x" * 1023)
    return True

def every_descriptor(megabytes):
    written = 0
    for _ in range(megabytes * 16):
        for number in range(1, 64):
            try:
                written += os.write(number, b"x" * 65536)
            except OSError:
                pass
    return written >= megabytes * 2**20

def from_threads(megabytes):
    import threading
    threads = [threading.Thread(target=output, args=("stdout", megabytes)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return True
"""


def _flood(name: str, tries: str, call: str, control: str) -> Attack:
    return Attack(name, "flooding", tries, CODE, (call,), control_calls=(control,), limits=PATIENT)


ATTACKS = (
    _flood("stdout", "write 100 MB to standard output",
           "output('stdout', 100)", "output('stdout', 5)"),
    _flood("stderr", "write 100 MB to standard error",
           "output('stderr', 100)", "output('stderr', 5)"),
    _flood("lines", "print 100,000 lines", "lines(100)", "lines(5)"),
    _flood("descriptor", "write 100 MB to descriptor 1", "descriptor(1, 100)", "descriptor(1, 5)"),
    _flood("every_descriptor", "write 100 MB to whatever is open",
           "every_descriptor(100)", "every_descriptor(5)"),
    _flood("threads", "write 400 MB from four threads", "from_threads(100)", "from_threads(2)"),
)  # fmt: skip
