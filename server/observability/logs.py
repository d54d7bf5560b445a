"""The log: one event per line on standard error, as JSON, or as coloured text on a terminal.

Except at level `debug` it contains no text of requests or models: of an exception only the type and
the place are logged, not the message, which may quote a prompt, code, or a row.
"""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from traceback import extract_tb
from types import TracebackType
from typing import Any, Final

from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import EventRenamer, JSONRenderer, TimeStamper, format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
from structlog.types import EventDict, Processor, WrappedLogger

from selfheal.db.claims import Claim
from selfheal.db.runs import RunResult
from selfheal.server.observability.masking import masking
from selfheal.server.settings import ServerSettings

logger = logging.getLogger(__name__)

_FIRST: Final = ("time", "level", "logger", "message", "run_id", "thread_id", "request_id")
_EXTRA: Final = ("status", "outcome", "reason", "seconds", "model_calls")
_MOST_FRAMES: Final = 12

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the HTTP request that is being handled."""

_started: ContextVar[float] = ContextVar("started")


def log_to_stderr(settings: ServerSettings) -> None:
    """Log to standard error from now on, uncaught exceptions included.

    Our own loggers log from `SELFHEAL_LOG_LEVEL` on, libraries from `warning` on.
    """
    level = settings.log_level.upper()
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(settings.log_format, verbose=level == "DEBUG"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("selfheal").setLevel(level)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def formatter(log_format: str, *, verbose: bool) -> ProcessorFormatter:
    """Return the formatter of log records.

    Args:
        log_format: `json`, `text`, or `auto`: text if standard error is a terminal.
        verbose: include the messages of exceptions, and all text of libraries.
    """
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    colours = sys.stderr.isatty()
    renderer: Processor = (
        ConsoleRenderer(
            colors=colours,
            event_key="message",
            timestamp_key="time",
            exception_formatter=plain_traceback,
        )
        if text
        else JSONRenderer(default=str)
    )
    before: list[Processor] = [
        merge_contextvars,
        add_log_level,
        add_logger_name,
        ExtraAdder(allow=_EXTRA),
        _add_request_id,
        TimeStamper(fmt="iso", utc=True, key="time"),
        format_exc_info if verbose else _without_untrusted_text,
        EventRenamer("message"),
        _ordered,
    ]
    mask = masking()
    return ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[
            ProcessorFormatter.remove_processors_meta,
            renderer,
            lambda _, __, line: mask(str(line)),
        ],
    )


@contextmanager
def run_context(claim: Claim) -> Iterator[None]:
    """Add the ids of a run and its thread to every line that is logged in the body."""
    token = _started.set(monotonic())
    try:
        with bound_contextvars(run_id=str(claim.id), thread_id=str(claim.thread_id)):
            yield
    finally:
        _started.reset(token)


def ending(result: RunResult) -> dict[str, Any]:
    """Return the log fields of an ended run, as `extra`. Call it within its `run_context`.

    `seconds` is the execution time in this process; `reason` is None if the run has a verdict;
    `unusable` is the agent whose model answered in a form that cannot be used.
    """
    return {
        "status": result.status,
        "outcome": result.outcome,
        "reason": result.message or None,
        "unusable": result.unusable,
        "seconds": round(monotonic() - _started.get(), 3),
        "model_calls": result.model_calls,
    }


def _add_request_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    current = request_id.get()
    return event if current == "-" else {**event, "request_id": current}


def _without_untrusted_text(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Reduce an exception to its type and place, and a library's message to its first line.

    Further lines represent values: a task with its exception, an object with its text.
    """
    kept = dict(event)
    if event["logger"].partition(".")[0] != "selfheal":
        kept["event"] = event["event"].partition("\n")[0]
    exception = kept.pop("exc_info", None)
    if exception and exception[1] is not None:
        kept["exception"] = " < ".join(_types(exception[1]))
        kept["at"] = _places(exception[2])
    return kept


def _types(error: BaseException | None) -> Iterator[str]:
    """Yield the type of an exception and of those that caused it."""
    while error is not None:
        yield type(error).__qualname__
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _places(traceback: TracebackType | None) -> list[str]:
    """Return the frames of a traceback as `file:line function`, the innermost last."""
    frames = extract_tb(traceback)[-_MOST_FRAMES:]
    return [f"{each.filename}:{each.lineno} {each.name}" for each in frames]


def _ordered(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Put the common fields first, and omit fields without a value."""
    first = {name: event[name] for name in _FIRST if name in event}
    return {name: value for name, value in {**first, **event}.items() if value is not None}


def _log_uncaught(
    kind: type[BaseException], error: BaseException, place: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, place)
        return
    logger.critical("uncaught exception", exc_info=(kind, error, place))


def _log_uncaught_in_thread(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_value is not None:
        exception = (caught.exc_type, caught.exc_value, caught.exc_traceback)
        logger.critical("uncaught exception in a thread", exc_info=exception)
