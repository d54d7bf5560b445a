"""HTTP connections: how many there may be, and how long each may keep us waiting.

uvicorn bounds neither: a client that connects and says nothing holds a file descriptor for ever,
and when those run out no sandbox can be started and no connection to Postgres opened.
"""

import asyncio
import resource
from typing import Any, ClassVar, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

BACKLOG: Final = 128  # callers who wait for being accepted; asyncio accepts as many in one step
_HEAD_SECONDS: Final = 10.0
_BODY_SECONDS: Final = 30.0  # more than `limits` allows: who is answered there has time to read it
_UNREAD_SECONDS: Final = 60.0
_LINGER_SECONDS: Final = 5.0
# h11 parses what one read brings without a pause: 2,700 chunks of a byte, 25 ms, in 16 KB.
_READ_BYTES: Final = 16 * 2**10

_MOST_FILES: Final = 2**16
_MOST_CONNECTIONS: Final = 2000
_FEWEST_CONNECTIONS: Final = 32
_FILES_A_RUN: Final = 24  # the pipes of a sandbox and of a linter, both ends, and some
_FILES_BESIDE: Final = 128  # Postgres, the model, listeners, logs, libraries


def allowed_connections(runs: int) -> int:
    """Raise the soft limit of open files, and return how many connections it leaves room for.

    Args:
        runs: how many runs and trials this process executes at once.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    files = _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    room = files - runs * _FILES_A_RUN - _FILES_BESIDE - BACKLOG
    return max(_FEWEST_CONNECTIONS, min(room, _MOST_CONNECTIONS))


class _Lingering:
    """A transport whose `close` leaves a client the time to read its answer.

    Where a connection is closed while bytes of a body still come, the kernel resets it, and the
    client loses an answer that was sent: the 401 or 413 that says why nothing was read.
    """

    def __init__(self, transport: Any, connection: "LimitedConnection") -> None:
        self._transport = transport
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Close, or only say that nothing more will be sent."""
        if not self._connection.lingers():
            self._transport.close()

    def is_closing(self) -> bool:
        """Tell whether nothing more is to be sent."""
        closing: bool = self._connection.lingering or self._transport.is_closing()
        return closing


class LimitedConnection(H11Protocol):
    """A connection whose client must send a head, a body, and read its answer in time.

    Where there are too many, the one is closed that has waited longest for its client to send a
    head; then the one that has waited longest for a body. A client that sends its request at once
    is thus served however many say nothing.
    """

    most: ClassVar[int]
    _lines: ClassVar[dict[type[h11.IDLE], dict["LimitedConnection", None]]]

    @classmethod
    def at_most(cls, most: int) -> type["LimitedConnection"]:
        """Return the protocol of one server, of which so many connections may be open."""
        lines: Any = {h11.IDLE: {}, h11.SEND_BODY: {}}  # by whom we wait for, the oldest first
        return type(cls.__name__, (cls,), {"most": most, "_lines": lines})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head, in place of another where there are too many."""
        self._turn: tuple[Any, int] | None = None
        self._answers = 0
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self.lingering = False
        transport.max_size = _READ_BYTES  # type: ignore[attr-defined]  # asyncio's own, a read
        super().connection_made(_Lingering(transport, self))  # type: ignore[arg-type]
        if len(self.connections) > self.most:
            self._oldest()._drop()
        if not transport.is_closing():
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        if self._unread:
            self._unread.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sends; what comes behind a last answer is thrown away."""
        if self.lingering:
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._answers += 1
        self._watch()

    def pause_writing(self) -> None:
        """Begin to wait for the client to read what was sent to it."""
        super().pause_writing()
        self._unread = self.loop.call_later(_UNREAD_SECONDS, self._drop)

    def resume_writing(self) -> None:
        """Go on sending."""
        super().resume_writing()
        if self._unread:
            self._unread.cancel()
            self._unread = None

    def lingers(self) -> bool:
        """Begin to throw away the rest of a body before the connection is closed.

        Returns:
            False where there is no rest, or that was begun before: it can be closed.
        """
        transport = self.transport
        if transport.is_closing() or self.conn.their_state is not h11.SEND_BODY:
            return False
        self.lingering = True
        transport.write_eof()
        self.flow.resume_reading()
        self._stop_waiting()
        self._timer = self.loop.call_later(_LINGER_SECONDS, self._drop)
        return True

    def _watch(self) -> None:
        """See whose turn it is: the client's time begins when its turn does."""
        if self.transport.is_closing():
            return
        turn = (self.conn.their_state, self._answers)
        if turn == self._turn:
            return
        self._stop_waiting()
        self._turn = turn
        if turn[0] in self._lines:
            self._lines[turn[0]][self] = None
            seconds = _HEAD_SECONDS if turn[0] is h11.IDLE else _BODY_SECONDS
            self._timer = self.loop.call_later(seconds, self._drop)

    def _stop_waiting(self) -> None:
        for line in self._lines.values():
            line.pop(self, None)
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _oldest(self) -> "LimitedConnection":
        """Return the connection that is closed for a new one: itself where all are at work."""
        return next((next(iter(line)) for line in self._lines.values() if line), self)

    def _drop(self) -> None:
        self._stop_waiting()
        self.transport.abort()
