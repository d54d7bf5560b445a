"""The socket that is listened on, bound before anything else is opened."""

import ipaddress
import socket
from typing import Final

PORTS: Final = {"all": 8000, "manager": 8000, "worker": 8001, "evaluator": 8002, "runner": 8003}
_BACKLOG = 2048  # connections that wait until the server accepts them


class CannotListenError(Exception):
    """The port is in use, or the address is not one of this machine's."""


def is_loopback(host: str | None) -> bool:
    """Return whether a name or an address without a port is a loopback address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """Listen on an address before anything else is opened, so that a port in use is found early.

    Connections wait until the server accepts them. If the socket were only bound, they would be
    refused, and another process could bind the port as well.

    Args:
        host: the interface to listen on.
        port: the port; 0 for any free one.
        option: the command-line option that chooses another port.

    Raises:
        CannotListenError: the port is in use, or the address is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is given because asyncio sets TCP_NODELAY only if it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListenError(
            f"cannot listen on {host}:{port}: {error.strerror}; try {option}"
        ) from error
    return listener
