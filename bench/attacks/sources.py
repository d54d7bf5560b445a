"""Attacks by the shape of the source or of the stack: on what reads, compiles or unwinds it."""

from collections.abc import Callable
from dataclasses import replace

from bench.attacks.attack import Attack, Control

EXAMPLE = ({"call": "solve(1)", "returns": "{expected}"},)
LONG, DEEP, WIDE = 10 * 2**20, 10_000, 5_000_000
RECURSION = """
import sys

def deeper(number):
    return number and 1 + deeper(number - 1)

def python_stack(depth):
    sys.setrecursionlimit(10**9)
    return deeper(depth) == depth

def c_stack():
    sys.setrecursionlimit(10**9)
    class Endless:
        def __getattr__(self, name):
            return getattr(self, name + "x")
    return Endless().attribute

def small_stack():
    import threading
    sys.setrecursionlimit(10**9)
    threading.stack_size(32768)
    thread = threading.Thread(target=c_stack)
    thread.start()
    thread.join()

def null():
    import ctypes
    return ctypes.string_at(0)

def abort():
    import os
    os.abort()

def bad_code():
    def empty(): pass
    empty.__code__ = empty.__code__.replace(co_code=b"d\\x7f" * 8, co_consts=())
    return empty()
"""


def _source(
    name: str, tries: str, make: Callable[[], str], control: Control
) -> tuple[Attack, Attack]:
    """Return two attacks: on the rules that read the source, and on the sandbox alone."""
    judged = Attack(
        name, "sources", f"{tries}, to be judged", "",
        control=control, examples=EXAMPLE, generate=make,
    )  # fmt: skip
    run = replace(
        judged, name=f"{name}_unread", tries=f"{tries}, to be run", calls=("1",), examples=()
    )
    return judged, run


def _crash(name: str, tries: str, needs: str = "") -> Attack:
    return Attack(name, "sources", tries, RECURSION, (f"{name}()",), control="crashes", needs=needs)


_OLD = "Python 3.11, which does not count how deep it recurses in C"
ATTACKS = (
    *_source("long", "10 MB of source", lambda: "x = 1 + 2 * 3\n" * (LONG // 14), "outlasts"),
    *_source("one_line", "ten million parts on one line",
             lambda: f"x = [{'y,' * WIDE}]", "outlasts"),
    *_source("one_sum", "a sum of 100,000 parts",
             lambda: f"x = {'1+' * 10**5}1", "crashes"),
    *_source("nested_brackets", "brackets nested 10,000 deep",
             lambda: "[" * DEEP + "]" * DEEP, "crashes"),
    *_source("nested_signs", "a million signs", lambda: "x = " + "-" * 10**6 + "1", "crashes"),
    *_source("nested_attributes", "100,000 attributes",
             lambda: "x = y" + ".z" * 10**5, "crashes"),
    *_source("nested_calls", "100,000 calls of calls", lambda: "x = y" + "()" * 10**5, "crashes"),
    *_source("nested_blocks", "blocks nested 900 deep",
             lambda: "".join(" " * each + "if 1:\n" for each in range(900)), "crashes"),
    *_source("huge_constant", "a constant that is folded to a gigabyte",
             lambda: "x = " + " * ".join(["(1 << 10_000_000)"] * 60), "outlasts"),
    *_source("long_literal", "a number of 300,000 digits", lambda: "x = " + "9" * 300_000,
             "crashes"),
    *_source("null_byte", "a null byte", lambda: "x = 1\0", "crashes"),
    *_source("surrogate", "half a character", lambda: "x = '\ud800'", "crashes"),
    Attack("python_stack", "sources", "recurse a billion times deep", RECURSION,
           ("python_stack(10**9)",), control_calls=("python_stack(10**5)",)),
    _crash("c_stack", "recurse below Python until the stack ends", _OLD),
    _crash("small_stack", "do so in a thread with a tiny stack", _OLD),
    _crash("null", "read from address 0"),
    _crash("abort", "abort"),
    _crash("bad_code", "run code that no compiler wrote"),
)  # fmt: skip
