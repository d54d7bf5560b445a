"""The script inside the sandbox: load an untrusted module, evaluate calls, report each event.

Run as `python -I -S -B child.py RESULT_FD CPU MEMORY FILE [PACKAGES]`, with the standard library
only; PACKAGES is a folder of packages that the program may import.
Standard input holds the sizes of the texts on one line, then the texts: the module and the calls.
Each event is one line of JSON on RESULT_FD, so that the parent knows where the program stopped.
The untrusted code shares this process and may forge events: expected values never enter it.
"""

import builtins
import os
import sys

try:  # noqa: SIM105 - contextlib takes long to import
    import resource
except ImportError:  # in WASI, where the engine enforces the limits: see `wasm_guest.py`
    pass

TYPE_CHECKING = False  # as in `typing`, which takes long to import
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from selfheal.graph.sandbox.child_values import array, encode, quote
else:  # the script's folder is not a package, and isolated Python does not search it
    sys.path.insert(0, __file__.rpartition("/")[0])
    from child_values import array, encode, quote

    del sys.path[0]

MODULE = "__program__"
MAX_TEXT = 2_000
EXIT_MEMORY = 77
HEADROOM_BYTES = 16 * 2**20
OPEN_FILES = 64
PENDING_SIGNALS = 64
# Past a metaclass, which may claim other values.
MRO, NAME = type.__dict__["__mro__"].__get__, type.__dict__["__name__"].__get__
EXCEPTIONS = {
    NAME(each): each
    for each in vars(builtins).values()
    if isinstance(each, type) and issubclass(each, BaseException)
}


class Reporter:
    """Writes events to the parent."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.headroom: AbstractContextManager[None] = Headroom()

    def send(self, event: str, *parts: str) -> None:
        """Write one event completely."""
        line = (array(quote(event), *parts) + "\n").encode("ascii")
        while line:
            line = line[self.write(line) :]

    def write(self, line: bytes) -> int:
        """Write a part of a line and return its length."""
        return os.write(self.fd, line)

    def send_exception(self, event: str, problem: BaseException, *parts: str) -> None:
        """Report an exception; its message is sent last, since making it may never end."""
        names = [quote(name_of(base)) for base in MRO(type(problem))]
        self.send(event, *parts, array(*names))
        self.send("message", quote(describe(problem)))


def name_of(kind: type) -> str:
    """Return the name of a class, qualified if it only looks like a built-in exception."""
    name: str = NAME(kind)
    return name if EXCEPTIONS.get(name, kind) is kind else f"{MODULE}.{name}"


def describe(problem: BaseException) -> str:
    """Return an exception's message, cut to `MAX_TEXT`."""
    try:
        text = problem.msg if isinstance(problem, SyntaxError) else str(problem)
        return str.__str__(text)[:MAX_TEXT]
    except BaseException:  # an untrusted __str__ may raise anything
        return "<unprintable>"


def line_of(problem: BaseException) -> str:
    """Return the last line of the program that an exception passed through, as JSON."""
    if isinstance(problem, SyntaxError):
        return str(problem.lineno or "null")
    line, trace = "null", problem.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == MODULE:
            line = str(trace.tb_lineno)
        trace = trace.tb_next
    return line


class Headroom:
    """Allows a little more memory than the program has, to report that it ran out of memory."""

    def __enter__(self) -> None:
        self.soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

    def __exit__(self, *_: object) -> None:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (self.soft, hard))


def limit(cpu_seconds: int, memory_bytes: int, file_bytes: int) -> None:
    """Set the limits of this process, which cannot be raised again."""
    for name, soft, hard in (
        (resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1),
        (resource.RLIMIT_AS, memory_bytes, memory_bytes + HEADROOM_BYTES),
        (resource.RLIMIT_FSIZE, file_bytes, file_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
        (resource.RLIMIT_SIGPENDING, PENDING_SIGNALS, PENDING_SIGNALS),
    ):
        resource.setrlimit(name, (soft, hard))


def read_texts(source: "BinaryIO") -> "list[str]":
    """Read the module and the calls."""
    sizes = source.readline().split()
    return [source.read(int(size)).decode("utf-8", "surrogatepass") for size in sizes]


def load(code: str, reporter: Reporter) -> "dict[str, object] | None":
    """Run the module in a namespace of its own; None if it raised."""
    module = type(sys)(MODULE)
    sys.modules[MODULE] = module  # dataclasses, pickle and typing look up their module here
    try:
        exec(compile(code, MODULE, "exec"), module.__dict__)  # noqa: S102 - in the sandbox
    except BaseException as problem:  # SystemExit is a result, too
        with reporter.headroom:
            reporter.send_exception("failed", problem, line_of(problem))
        return None
    return module.__dict__


def answer(number: int, call: str, names: "dict[str, object]", reporter: Reporter) -> None:
    """Evaluate one call and report its value or exception."""
    reporter.send("call", str(number))
    try:
        value = eval(compile(call, "<call>", "eval"), names)  # noqa: S307 - in the sandbox
    except BaseException as problem:  # SystemExit is a result, too
        with reporter.headroom:
            reporter.send_exception("raised", problem, str(number))
    else:
        with reporter.headroom:
            reporter.send("value", str(number), encode(value))


def run(code: str, calls: "list[str]", reporter: Reporter) -> None:
    """Load the module and evaluate the calls.

    Raises:
        MemoryError: there was not enough memory to report.
    """
    vars(builtins).update(exit=sys.exit, quit=sys.exit)  # `site`, which sets them, is not loaded
    sys.argv = [MODULE]  # the program must not see those of this process
    reporter.send("ready")
    names = load(code, reporter)
    if names is not None:
        reporter.send("loaded")
        for number, call in enumerate(calls):
            answer(number, call, names, reporter)
        reporter.send("end")


def main(
    result_fd: int, cpu_seconds: int, memory_bytes: int, file_bytes: int, *, packages: str = ""
) -> None:
    """Run a program, and exit without the handlers that it registered for the exit.

    Args:
        result_fd: for the events.
        cpu_seconds: its limit of processor time.
        memory_bytes: its limit of address space.
        file_bytes: its limit for one file.
        packages: a folder of packages that it may import.
    """
    with open(0, "rb", closefd=False) as stdin:
        code, *calls = read_texts(stdin)
    limit(cpu_seconds, memory_bytes, file_bytes)
    if packages:
        sys.path.append(packages)  # after the standard library, which it must not replace
    try:
        run(code, calls, Reporter(result_fd))
    except MemoryError:
        os._exit(EXIT_MEMORY)
    os._exit(0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]), packages="".join(sys.argv[5:6]))
