"""Limits of HTTP connections: their number, and how long each may wait for its client.

uvicorn limits neither: a client that connects and sends nothing holds a file descriptor for ever,
and when those run out no sandbox can be started and no connection to Postgres opened.
"""

import asyncio
import resource
from typing import Any, ClassVar, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

BACKLOG: Final = 128  # connections not accepted yet; asyncio accepts as many in one step
_HEAD_SECONDS: Final = 10.0
_BODY_SECONDS: Final = 30.0  # more than the middleware allows, whose answer must still be read
_UNREAD_SECONDS: Final = 60.0
_LINGER_SECONDS: Final = 5.0
# h11 parses the result of one read without a pause: 2,700 chunks of a byte, 25 ms, in 16 KB.
_READ_BYTES: Final = 16 * 2**10

_MOST_FILES: Final = 2**16
_MOST_CONNECTIONS: Final = 2000
_FEWEST_CONNECTIONS: Final = 32
_FILES_A_RUN: Final = 24  # the pipes of a sandbox and of a linter, both ends, and some
_OTHER_FILES: Final = 128  # Postgres, the model, listeners, logs, libraries


def allowed_connections(runs: int) -> int:
    """Raise the soft limit of open files, and return how many connections it allows.

    Args:
        runs: how many runs and trials this process executes at once.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        soft = limit
    files = _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    room = files - runs * _FILES_A_RUN - _OTHER_FILES - BACKLOG
    return max(_FEWEST_CONNECTIONS, min(room, _MOST_CONNECTIONS))


class _Lingering:
    """A transport whose `close` leaves the client time to read its answer.

    If a connection is closed while bytes of a body still arrive, the kernel resets it, and the
    client loses an answer that was sent: the 401 or 413 that says why the body was not read.
    """

    def __init__(self, transport: Any, connection: "LimitedConnection") -> None:
        self._transport = transport
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Close, or only announce the end of the answer."""
        if not self._connection.lingers():
            self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the answer has ended."""
        closing: bool = self._connection.lingering or self._transport.is_closing()
        return closing


class LimitedConnection(H11Protocol):
    """A connection whose client must send the head and the body and read the answer in time.

    If there are too many, the one that has waited longest for a head is closed; if none waits for
    a head, the one that has waited longest for a body. So a client that sends its request at once
    is served however many send nothing.
    """

    most: ClassVar[int]
    _lines: ClassVar[dict[type[h11.IDLE], dict["LimitedConnection", None]]]

    @classmethod
    def at_most(cls, most: int) -> type["LimitedConnection"]:
        """Return the protocol of a server with a limit of open connections."""
        lines: Any = {h11.IDLE: {}, h11.SEND_BODY: {}}  # by what is waited for, the oldest first
        return type(cls.__name__, (cls,), {"most": most, "_lines": lines})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head, in place of another connection if there are too many."""
        self._turn: tuple[Any, int] | None = None
        self._answers = 0
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self.lingering = False
        transport.max_size = _READ_BYTES  # type: ignore[attr-defined]  # asyncio's own attribute: bytes in a read
        super().connection_made(_Lingering(transport, self))  # type: ignore[arg-type]
        if len(self.connections) > self.most:
            self._oldest()._drop()
        if not transport.is_closing():
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        self._stop_waiting()
        if self._unread:
            self._unread.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle data; what arrives after the last answer is dropped."""
        if self.lingering:
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._answers += 1
        self._watch()

    def pause_writing(self) -> None:
        """Wait for the client to read what was sent."""
        super().pause_writing()
        self._unread = self.loop.call_later(_UNREAD_SECONDS, self._drop)

    def resume_writing(self) -> None:
        """Continue to send."""
        super().resume_writing()
        if self._unread:
            self._unread.cancel()
            self._unread = None

    def lingers(self) -> bool:
        """Start to drop the rest of a body before the connection is closed.

        Returns:
            False if there is no rest, or it is being dropped already: it can be closed.
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
        """Start the timer when the next message is the client's."""
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
        """Return the connection to be closed for a new one: itself if no other waits."""
        return next((next(iter(line)) for line in self._lines.values() if line), self)

    def _drop(self) -> None:
        self._stop_waiting()
        self.transport.abort()
