"""Who is let in where no key tells callers apart: programs and pages of this machine.

The socket is bound to loopback alone, but any page that a browser on this machine shows can send
requests there. What it cannot do is choose the `Host` and `Origin` that the browser writes.
"""

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request

from selfheal.server.binding import is_loopback

_READING: Final = ("GET", "HEAD", "OPTIONS")


class WrongHostError(Exception):
    """The request was meant for another host: a name was rebound to this machine's address."""


class CrossSiteError(Exception):
    """A page of another site has sent it."""


def refuse_strangers(request: Request, origins: Collection[str] = ()) -> None:
    """Let pass what comes from this machine.

    Args:
        origins: the other sites whose pages may send requests.

    Raises:
        WrongHostError: its Host is not this machine.
        CrossSiteError: a page of another site would change something.
    """
    if not is_loopback(_host(f"//{request.headers.get('host', '')}")):
        raise WrongHostError("without keys only localhost is served: call it by that name")
    origin = request.headers.get("origin")
    if origin is None or origin in origins or request.method in _READING:
        return
    if not is_loopback(_host(origin)):
        raise CrossSiteError("pages of other sites may send nothing: see SELFHEAL_CORS_ORIGINS")


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
