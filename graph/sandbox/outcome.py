"""From the end of a child process to an Execution with a description for people."""

import signal

from selfheal.graph.sandbox.channel import Failure, Transcript
from selfheal.graph.sandbox.process import START_SECONDS, Ending, Stop
from selfheal.graph.sandbox.protocol import Execution, Limits, SandboxUnavailable, Status
from selfheal.graph.sandbox.values import clean
from selfheal.graph.sandbox.watchdog import MOST_THREADS

EXIT_MEMORY = 77  # as in child.py, which cannot be imported here
SHOWN_CALL = 120

_STOPS: dict[Stop, tuple[Status, str]] = {
    "timeout": ("timeout", "stopped after {limits.wall_seconds:g} s"),
    "output": ("output", "stopped: it printed more than {limits.output_bytes} bytes"),
    "disk": ("output", "stopped: it wrote more than {limits.disk_bytes} bytes, or too many files"),
    "threads": ("killed", f"stopped: it started more than {MOST_THREADS} threads"),
    "garbled": ("killed", "stopped: it interfered with the sandbox's own channel, {why}"),
    "cancelled": ("killed", "stopped: the run was cancelled"),
}


def execution_of(backend: str, ending: Ending, limits: Limits) -> Execution:
    """Return the Execution of a child that ended.

    Args:
        backend: the sandbox's name.
        ending: of the child.
        limits: of the program.

    Raises:
        SandboxUnavailable: the child died or hung before the program's first line.
    """
    # The reason to stop it may be seen before the `ready` event, which comes by another pipe.
    if not ending.transcript.ready and ending.stopped in (None, "start", "cancelled"):
        raise SandboxUnavailable(_why_not_ready(backend, ending))
    status, detail = _status(ending, limits)
    stdout = clean(ending.stdout.decode("utf-8", "replace"), limits.output_bytes)
    results = tuple(ending.transcript.results)
    return Execution(backend, status, detail, ending.seconds, stdout, results)


def _why_not_ready(backend: str, ending: Ending) -> str:
    if ending.stopped == "start":
        return f"{backend} did not start within {START_SECONDS:g} s"
    lines = clean(ending.stderr.decode("utf-8", "replace")).strip().splitlines()
    error = lines[-1] if lines else "no error output"
    return f"{backend} failed before the program started (exit {ending.returncode}): {error}"


def _status(ending: Ending, limits: Limits) -> tuple[Status, str]:
    transcript = ending.transcript
    if transcript.failure and ending.stopped != "garbled":
        return _failure_status(transcript.failure)
    if ending.stopped in _STOPS and not (transcript.ended and ending.stopped == "timeout"):
        status, message = _STOPS[ending.stopped]
        return status, f"{message.format(limits=limits, why=ending.why)}: {_where(transcript)}"
    if transcript.ended:
        return "ok", ""
    status, message = _exit_status(ending.returncode, limits)
    return status, f"{message}: {_where(transcript)}"


def _failure_status(failure: Failure) -> tuple[Status, str]:
    if "MemoryError" in failure.raised:
        return "memory", "the module needed more memory than it may have"
    line = f" (line {failure.line})" if failure.line else ""
    message = f": {failure.message}" if failure.message else ""
    if failure.raised[0] == "SystemExit":
        return "error", f"the module ended itself with sys.exit({failure.message}){line}"
    return "error", f"{failure.raised[0]}{message}{line}"


def _exit_status(returncode: int, limits: Limits) -> tuple[Status, str]:
    # bubblewrap reports a signal as a shell does: 128 plus its number
    number = -returncode if returncode < 0 else returncode - 128
    if returncode == EXIT_MEMORY:
        return "memory", "it needed more memory than it may have"
    if number == signal.SIGXCPU:
        return "timeout", f"stopped after {limits.cpu_seconds} s of processor time"
    if number == signal.SIGKILL:
        return "killed", "killed by the system: out of memory, or out of processor time"
    try:
        return "killed", f"killed by {signal.Signals(number).name}"
    except ValueError:
        return "killed", f"it ended its own process (exit code {returncode})"


def _where(transcript: Transcript) -> str:
    if not transcript.loaded:
        return "still loading the module"
    if transcript.running is not None:
        return f"still running call {_shown(transcript.calls[transcript.running])}"
    if transcript.ended:
        return "after the last call"
    return f"after {len(transcript.results)} of {len(transcript.calls)} calls"


def _shown(call: str) -> str:
    text = clean(call, SHOWN_CALL)
    return f"'{text}{'…' if len(call) > SHOWN_CALL else ''}'"
