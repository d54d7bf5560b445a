"""Attacks that never end, or end in a crash: each runs on when its time is over."""

from bench.attacks.attack import SHORT, Attack

CODE = """
import signal, sys, threading, time

def deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL})
    for number in (signal.SIGTERM, signal.SIGXCPU, signal.SIGALRM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)

def loop():
    while True:
        pass

def catching_loop():
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass

def in_c():
    deaf()
    return sum(range(10**12))

def sleep():
    deaf()
    time.sleep(3600)

def waits():
    threading.Event().wait()

def regular_expression():
    import re
    deaf()
    return re.match("(a+)+$", "a" * 60 + "b")

def power():
    return len(bin(9 ** (10**8 + 7)))

def digits():
    sys.set_int_max_str_digits(0)
    return str(9 ** (10**7))

def factorial():
    import math
    return math.factorial(10**8)

def reads():
    import os
    reading, _ = os.pipe()
    os.read(reading, 1)

def joins():
    thread = threading.Thread(target=loop)
    thread.start()
    thread.join()

def never_done():
    threading.Thread(target=loop).start()
    deaf()
    while True:
        time.sleep(0.01)

def locked():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

def sorting():
    class Slow:
        def __lt__(self, other):
            time.sleep(0.01)
            return True
    return sorted([Slow() for _ in range(10**5)])

def comparing():
    value = [10**6] * 10**6
    return [value == list(value) for _ in range(10**6)]

def membership():
    return 10**12 + 0.5 in range(10**12)

def standard_input():
    import io, os
    while True:
        os.read(0, 1)

def generator():
    return list(iter(int, 1)) if False else max(iter(int, 1))

def asynchronous():
    import asyncio
    async def forever():
        while True:
            await asyncio.sleep(0)
    asyncio.run(forever())

def finalizer():
    class Endless:
        def __del__(self):
            loop()
    Endless()

def recursing():
    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)
    return fibonacci(90)
"""


def _last(name: str, tries: str, call: str = "", code: str = CODE) -> Attack:
    calls = (call or f"{name}()",)
    return Attack(name, "endless", tries, code, calls, control="outlasts", limits=SHORT)


ATTACKS = (
    _last("loop", "loop for ever"),
    _last("catching_loop", "loop, and catch whatever would end it"),
    _last("in_c", "count in C, with every signal blocked"),
    _last("sleep", "sleep for an hour, with every signal blocked"),
    _last("waits", "wait for what never happens"),
    _last("regular_expression", "match a regular expression that explodes"),
    _last("power", "raise 9 to a hundred million"),
    _last("digits", "write out a number of ten million digits"),
    _last("factorial", "compute the factorial of a hundred million"),
    _last("reads", "read from a pipe without a writer"),
    _last("joins", "wait for a thread that never ends"),
    _last("never_done", "run on in two threads, deaf to signals"),
    _last("locked", "wait for itself"),
    _last("sorting", "sort what compares slowly"),
    _last("comparing", "compare long lists, again and again"),
    _last("membership", "look for a fraction in a long range"),
    _last("standard_input", "read the end of standard input for ever"),
    _last("generator", "seek the largest of infinitely many"),
    _last("asynchronous", "take turns with no other task"),
    _last("finalizer", "loop in a finalizer"),
    _last("recursing", "call itself an exponential number of times"),
    _last("module", "loop while it is loaded", "1", "while True:\n    pass"),
    _last("import_lock", "loop in an import hook", "__import__('never')",
          "import sys\nclass Hook:\n    def find_spec(self, *_):\n        while True: pass\n"
          "sys.meta_path.insert(0, Hook())"),
)  # fmt: skip
