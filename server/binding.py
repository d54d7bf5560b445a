"""The address that is listened on: taken early, before anything else is opened."""

import ipaddress
import socket
from typing import Final

PORTS: Final = {"all": 8000, "manager": 8000, "worker": 8001, "evaluator": 8002, "runner": 8003}
_BACKLOG = 2048  # callers who wait until something serves them


class CannotListenError(Exception):
    """The port is taken, or the address is none of this machine's."""


def is_loopback(host: str | None) -> bool:
    """Tell whether a name or address without a port is this machine's own."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """Take an address, before anything else is opened: a taken port then costs nothing.

    Callers who come before they are served wait. Were it only bound, they would be refused, also
    those who come the moment that we say where we serve; and another could bind it as well.

    Raises:
        CannotListenError: the port is taken, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named since asyncio switches Nagle's delay off for named TCP alone.
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
