"""Which addresses a run's webhook may name."""

import ipaddress
from dataclasses import dataclass
from typing import Final

import httpx

_WIDE: Final = ipaddress.ip_network("2000::/3")  # all of IPv6 that was ever given to anybody
_TUNNELS: Final = (  # addresses that stand for one of IPv4, which may be any
    ipaddress.ip_network("2001::/32"),
    ipaddress.ip_network("2002::/16"),
)


class WebhookError(Exception):
    """Nobody may be told at this address; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which addresses are taken.

    `configured`: there is a secret to sign with. `allow_private`: addresses of this machine and of
    its networks too, and without TLS.
    """

    configured: bool
    allow_private: bool

    def check(self, url: str | None) -> None:
        """Check an address as it is written; what its name resolves to is checked when it is used.

        Raises:
            WebhookError: it is not taken.
        """
        if url is None:
            return
        if not self.configured:
            raise WebhookError("none can be signed: set SELFHEAL_WEBHOOK_SECRET, or leave it out")
        parsed = _parsed(url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise WebhookError("must be an https address, such as https://app.example/hook")
        if parsed.port is not None and not 0 < parsed.port < 65_536:
            raise WebhookError("names a port that there is not")
        if parsed.userinfo:
            raise WebhookError("may hold no user and no password")
        if not self.allow_private:
            _check_public(parsed)


def _parsed(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise WebhookError("is no address") from None


def _check_public(url: httpx.URL) -> None:
    if url.scheme != "https":
        raise WebhookError("must be https, unless SELFHEAL_WEBHOOK_ALLOW_PRIVATE is set")
    try:
        allowed = is_public(url.host)
    except ValueError:  # a name, not an address
        allowed = url.host.rstrip(".") != "localhost"
    if not allowed:
        raise WebhookError("must be a public address, unless SELFHEAL_WEBHOOK_ALLOW_PRIVATE is set")


def is_public(address: str) -> bool:
    """Tell whether an IP address is anybody's on the internet, and no way around to another one.

    Raises:
        ValueError: it is no IP address.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed.is_global and not parsed.is_multicast
    return parsed.is_global and parsed in _WIDE and not any(parsed in each for each in _TUNNELS)
