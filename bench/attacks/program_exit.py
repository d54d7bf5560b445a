"""Attacks on the verdict by how a program ends, and what it says on its way out.

Each answers wrongly, if at all, and would have a naive judge take its own word for the verdict.
"""

from dataclasses import replace

from bench.attacks.attack import SHORT, Attack, Control

LIMITS = replace(SHORT, wall_seconds=0.6)
CODE = """
import atexit, os, signal, sys, threading, time
PASSED = b'{"passed": true}\\n'

def leave():
    os.write(1, PASSED)
    os._exit(0)

def imitate():
    for number in range(1, 64):
        try:
            os.write(number, b'["value",0,true]\\n["end"]\\n')
            os.write(number, PASSED)
        except OSError:
            pass
    os._exit(0)

def later():
    def write():
        time.sleep(0.05)
        leave()
    threading.Thread(target=write, daemon=True).start()
    time.sleep(0.3)

def on_exit():
    atexit.register(leave)
    sys.exit(0)

def on_signal():
    signal.signal(signal.SIGALRM, lambda *_: leave())
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(0.3)

def traced(install):
    def look(frame, event, argument):
        if frame.f_code.co_name in {"same", "encode", "send", "write", "main"}:
            leave()
        return look
    install(look)

def finalized():
    class Last:
        __del__ = lambda self: leave()
    return Last()

def blocked():
    class Blocking:
        def write(self, text):
            while True: pass
        flush = write
    sys.stdout = sys.stderr = Blocking()

def blocked_hook():
    def loop(*_):
        while True: pass
    sys.audit and sys.addaudithook(lambda *_: None)
    sys.displayhook = sys.excepthook = sys.unraisablehook = loop
    class Endless:
        __del__ = __eq__ = loop
    return Endless()

def redirected():
    os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
    for number in range(3, 64):
        try:
            os.dup2(1, number)
        except OSError:
            pass
    leave()
"""


def _leave(
    name: str, tries: str, call: str, control: Control = "fooled", code: str = CODE
) -> Attack:
    example = {"call": call, "returns": "{expected}"}
    return Attack(name, "leaving", tries, code, control=control, examples=(example,), limits=LIMITS)


ATTACKS = (
    _leave("leave", "print a verdict, and leave by os._exit(0)", "leave()"),
    _leave("exit", "leave by sys.exit(0)", "sys.exit(0)"),
    _leave("exit_early", "leave by os._exit(0), and print nothing", "os._exit(0)"),
    _leave("imitate", "write the protocol's words to every descriptor", "imitate()"),
    _leave("redirect", "turn every descriptor to standard output", "redirected()"),
    _leave("thread", "have a thread write a verdict later", "later()"),
    _leave("at_exit", "have the verdict written at the exit", "on_exit()"),
    _leave("signal", "have it written by a signal handler", "on_signal()"),
    _leave("trace", "have it written by a tracer", "traced(sys.settrace)"),
    _leave("profile", "have it written by a profiler", "traced(sys.setprofile)"),
    _leave("finalizer", "have it written by a finalizer", "finalized()"),
    _leave("blocked_output", "replace standard output by one that blocks", "blocked()",
            control="outlasts"),
    _leave("blocked_hook", "replace the interpreter's hooks by endless ones", "blocked_hook()",
            control="outlasts"),
    _leave("module_exit", "leave while the module is loaded", "1", code="import sys\nsys.exit(0)"),
    _leave("module_leave", "print a verdict while it is loaded, and leave", "1",
            code=CODE + "leave()"),
    _leave("module_imitate", "write the protocol's words while it is loaded", "1",
            code=CODE + "imitate()"),
)  # fmt: skip
