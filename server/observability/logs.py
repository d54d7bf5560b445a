"""The log: one event a line on standard error, JSON for machines, in colour on a terminal.

At every level but `debug` it holds nothing that strangers or models wrote: of an exception it says
the kind and where it was raised, not its message, which may quote a prompt, code, or a row.
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
from selfheal.db.runs import Finish
from selfheal.server.api import request_ids
from selfheal.server.observability.masking import masking
from selfheal.server.settings import ServerSettings

logger = logging.getLogger(__name__)

_FIRST: Final = ("time", "level", "logger", "message", "run_id", "thread_id", "request_id")
_EXTRA: Final = ("status", "outcome", "reason", "seconds", "model_calls")
_MOST_FRAMES: Final = 12

_begun: ContextVar[float] = ContextVar("begun")


def log_to_stderr(settings: ServerSettings) -> None:
    """Log to standard error from now on, whatever dies unseen included.

    Ours from `SELFHEAL_LOG_LEVEL` on, the libraries' warnings beside it.
    """
    level = settings.log_level.upper()
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(settings.log_format, verbose=level == "DEBUG"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("selfheal").setLevel(level)
    logging.captureWarnings(capture=True)
    sys.excepthook = _died
    threading.excepthook = _thread_died


def formatter(wanted: str, *, verbose: bool) -> ProcessorFormatter:
    """Return what makes a line of a record.

    Args:
        wanted: `json`, `text`, or `auto`: text if standard error is a terminal.
        verbose: with the exceptions' messages and all that libraries say.
    """
    text = wanted == "text" or (wanted == "auto" and sys.stderr.isatty())
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
        _name_request,
        TimeStamper(fmt="iso", utc=True, key="time"),
        format_exc_info if verbose else _without_words,
        EventRenamer("message"),
        _in_order,
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
def about(claim: Claim) -> Iterator[None]:
    """Write the run and its thread on every line that is logged inside."""
    began = _begun.set(monotonic())
    try:
        with bound_contextvars(run_id=str(claim.id), thread_id=str(claim.thread_id)):
            yield
    finally:
        _begun.reset(began)


def ending(finish: Finish) -> dict[str, Any]:
    """Return what is logged of how the run has ended that this is `about`, as `extra`.

    Its seconds are those of this process; the reason is there if it has no verdict.
    """
    return {
        "status": finish.status,
        "outcome": finish.outcome,
        "reason": finish.message or None,
        "seconds": round(monotonic() - _begun.get(), 3),
        "model_calls": finish.model_calls,
    }


def _name_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    request_id = request_ids.current.get()
    return event if request_id == "-" else {**event, "request_id": request_id}


def _without_words(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Say of an exception its kind and place; of a library's message its first line.

    What follows there is a representation: of a task with its exception, of a value with its text.
    """
    kept = dict(event)
    if event["logger"].partition(".")[0] != "selfheal":
        kept["event"] = event["event"].partition("\n")[0]
    fault = kept.pop("exc_info", None)
    if fault and fault[1] is not None:
        kept["exception"] = " < ".join(_kinds(fault[1]))
        kept["at"] = _places(fault[2])
    return kept


def _kinds(error: BaseException | None) -> Iterator[str]:
    """Yield the kind of an exception and of those that led to it."""
    while error is not None:
        yield type(error).__qualname__
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _places(traceback: TracebackType | None) -> list[str]:
    """Return where an exception came through, as `file:line function`, the last one last."""
    frames = extract_tb(traceback)[-_MOST_FRAMES:]
    return [f"{each.filename}:{each.lineno} {each.name}" for each in frames]


def _in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Put what every line has first, and leave out what is not known."""
    first = {name: event[name] for name in _FIRST if name in event}
    return {name: value for name, value in {**first, **event}.items() if value is not None}


def _died(kind: type[BaseException], error: BaseException, place: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, place)
        return
    logger.critical("the process broke", exc_info=(kind, error, place))


def _thread_died(died: threading.ExceptHookArgs) -> None:
    if died.exc_value is not None:
        told = (died.exc_type, died.exc_value, died.exc_traceback)
        logger.critical("a thread broke", exc_info=told)
