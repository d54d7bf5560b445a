"""Which URLs are allowed as webhooks."""

import ipaddress
from dataclasses import dataclass
from typing import Final

import httpx

_WIDE: Final = ipaddress.ip_network("2000::/3")  # the allocated part of IPv6
_TUNNELS: Final = (  # addresses that embed an IPv4 address, which may be private
    ipaddress.ip_network("2001::/32"),
    ipaddress.ip_network("2002::/16"),
)


class WebhookError(Exception):
    """The URL is not allowed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """Decides which URLs are allowed.

    Attributes:
        configured: there is a secret to sign with.
        allow_private: allow addresses of this machine and of its networks, and http.
    """

    configured: bool
    allow_private: bool

    def check(self, url: str | None) -> None:
        """Check a URL as it is written; what its host resolves to is checked by the sender.

        Raises:
            WebhookError: it is not allowed.
        """
        if url is None:
            return
        if not self.configured:
            raise WebhookError("cannot be signed: set SELFHEAL_WEBHOOK_SECRET, or omit it")
        parsed = _parsed(url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise WebhookError("must be an https URL, such as https://app.example/hook")
        if parsed.port is not None and not 0 < parsed.port < 65_536:
            raise WebhookError("has an invalid port")
        if parsed.userinfo:
            raise WebhookError("must not contain a user or a password")
        if not self.allow_private:
            _check_public(parsed)


def _parsed(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise WebhookError("is not a URL") from None


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
    """Return whether an IP address is public, and does not embed another address.

    Raises:
        ValueError: it is not an IP address.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed.is_global and not parsed.is_multicast
    return parsed.is_global and parsed in _WIDE and not any(parsed in each for each in _TUNNELS)
