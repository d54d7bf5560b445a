"""An address is ours from the start, and whoever calls too early waits."""

import socket

import pytest

from selfheal.server.binding import CannotListenError, listen


def test_callers_who_come_before_they_are_served_wait() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        accepted.close()


def test_an_address_in_use_is_refused() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(CannotListenError, match=f"cannot listen on 127.0.0.1:{port}: .*--x"):
            listen("127.0.0.1", port, "--x")
