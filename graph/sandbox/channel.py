"""Parsing of the child's events from a channel to which the program may write, too."""

from collections.abc import Callable
from dataclasses import dataclass, field

from selfheal.app import strict_json
from selfheal.graph.sandbox.protocol import CallResult, Program
from selfheal.graph.sandbox.values import clean, decode

MAX_CHANNEL_BYTES = 4 * 2**20
MAX_LINE_BYTES = 2**20
MAX_CLASSES = 64
LONG_LINE_BYTES = 96 * 2**10  # a shorter one is parsed in a few milliseconds
# The child's own limits for a value allow 100,000 numbers, each an array of two.
_LINE = strict_json.Bounds(size=MAX_LINE_BYTES, values=320_000, depth=128)


class GarbledError(ValueError):
    """The channel holds something that the child does not write."""


def packed(program: Program) -> bytes:
    """Return the bytes that the child reads from its standard input."""
    texts = [text.encode("utf-8", "surrogatepass") for text in (program.code, *program.calls)]
    sizes = " ".join(str(len(text)) for text in texts)
    return b"".join((sizes.encode(), b"\n", *texts))


@dataclass(slots=True)
class Failure:
    """An exception of the module itself; `line` is in the program."""

    raised: tuple[str, ...]
    line: int | None
    message: str = ""


@dataclass(slots=True)
class Transcript:
    """The child's events so far. They have one possible order; anything else is garbled.

    Attributes:
        calls: of the program.
        on_ready: is called when the program is about to start.
        ready, loaded, ended: the events that have arrived.
        running: the index of the call that runs; None between calls.
        failure: of the module.
        results: of the calls that ended.
    """

    calls: tuple[str, ...]
    on_ready: Callable[[], None]
    ready: bool = False
    loaded: bool = False
    ended: bool = False
    running: int | None = None
    failure: Failure | None = None
    results: list[CallResult] = field(default_factory=list)
    _received: int = 0
    _rest: bytearray = field(default_factory=bytearray)

    def is_long(self, data: bytes) -> bool:
        """Return whether the next bytes belong to a long line."""
        return len(self._rest) + len(data) > LONG_LINE_BYTES

    def feed(self, data: bytes) -> None:
        """Parse the next bytes of the channel.

        Raises:
            GarbledError: they are too many, or the child does not write them.
        """
        self._received += len(data)
        if self._received > MAX_CHANNEL_BYTES:
            raise GarbledError("it sent more than 4 MB")
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._rest += line
            whole, self._rest = bytes(self._rest), bytearray()
            self._parse(whole)
        self._rest += rest
        if len(self._rest) > MAX_LINE_BYTES:
            raise GarbledError("it sent a line of more than 1 MB")

    def _parse(self, line: bytes) -> None:
        if len(line) > MAX_LINE_BYTES:
            raise GarbledError("it sent a line of more than 1 MB")
        try:
            event, *parts = strict_json.loads(line, _LINE)
            handler = _HANDLERS[event]
            handler(self, *parts)
        except GarbledError:
            raise
        except Exception as problem:  # the program may have written the bytes
            raise GarbledError("it sent something that is not an event") from problem

    def _on_ready(self) -> None:
        self._require(not self.ready)
        self.ready = True
        self.on_ready()

    def _on_loaded(self) -> None:
        self._require(self.ready and not self.loaded and self.failure is None)
        self.loaded = True

    def _on_failed(self, line: object, raised: object) -> None:
        self._require(self.ready and not self.loaded and self.failure is None)
        self.failure = Failure(_names(raised), line if type(line) is int else None)

    def _on_call(self, number: object) -> None:
        self._require(self.loaded and self.running is None and not self.ended)
        self._require(_is(number, len(self.results)) and len(self.results) < len(self.calls))
        self.running = len(self.results)

    def _on_value(self, number: object, tagged: object) -> None:
        self._finish(number, CallResult(self._call(), decode(tagged), None, ""))

    def _on_raised(self, number: object, raised: object) -> None:
        self._finish(number, CallResult(self._call(), None, _names(raised), ""))

    def _on_message(self, text: object) -> None:
        self._require(isinstance(text, str))
        message = clean(str(text))
        if self.failure:
            self.failure.message = message
            return
        self._require(bool(self.results) and self.results[-1].raised is not None)
        last = self.results[-1]
        self.results[-1] = CallResult(last.call, None, last.raised, message)

    def _on_end(self) -> None:
        self._require(self.loaded and self.running is None and len(self.results) == len(self.calls))
        self.ended = True

    def _call(self) -> str:
        self._require(self.running is not None)
        return self.calls[len(self.results)]

    def _finish(self, number: object, result: CallResult) -> None:
        self._require(self.running is not None and _is(number, self.running))
        self.results.append(result)
        self.running = None

    def _require(self, condition: bool) -> None:
        if not condition:
            raise GarbledError("it sent an event out of turn")


def _is(sent: object, number: int) -> bool:
    """Return whether a received value is this int; `true` and 1.0 are not ints."""
    return type(sent) is int and sent == number


def _names(raised: object) -> tuple[str, ...]:
    if not isinstance(raised, list) or not raised or len(raised) > MAX_CLASSES:
        raise GarbledError("it sent an exception without a class")
    if not all(isinstance(name, str) for name in raised):
        raise GarbledError("it sent a class without a name")
    return tuple(clean(name, 200) for name in raised)


_HANDLERS: dict[object, Callable[..., None]] = {
    "ready": Transcript._on_ready,
    "loaded": Transcript._on_loaded,
    "failed": Transcript._on_failed,
    "call": Transcript._on_call,
    "value": Transcript._on_value,
    "raised": Transcript._on_raised,
    "message": Transcript._on_message,
    "end": Transcript._on_end,
}
