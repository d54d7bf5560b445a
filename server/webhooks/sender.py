"""One attempt to tell an address something: signed, short, and never to a private network."""

import asyncio
import email.utils
import logging
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Literal

import httpx

from selfheal.server.webhooks import signature
from selfheal.server.webhooks.url_policy import is_public

logger = logging.getLogger(__name__)

_CONNECTING: Final = 5.0  # seconds for each of a name's addresses
_AGAIN: Final = frozenset({408, 425, 429})
_RESOLVING: Final = 16

Resolve = Callable[[str, int], list[str]]


class PrivateAddressError(Exception):
    """A name leads to where nothing may be sent."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt went. `again`: it may go better later, not before `after` seconds."""

    result: Literal["delivered", "again", "stop"]
    error: str = ""
    after: float = 0.0


def resolve(host: str, port: int) -> list[str]:
    """Return a name's IP addresses.

    Raises:
        OSError: it has none, or nobody could be asked.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class Poster:
    """Posts signed messages.

    Args:
        keys: what they are signed with.
        allow_private: addresses of this machine and of its networks may be told too.
        resolve: gives a name's IP addresses, once an attempt.
        seconds: for all of an attempt.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        *,
        allow_private: bool,
        resolve: Resolve = resolve,
        seconds: float = 15.0,
    ) -> None:
        self.keys = keys
        self._allow_private = allow_private
        self._resolve = resolve
        self._seconds = seconds
        self._trusted = httpx.create_ssl_context()
        # Its own threads: a name server that never answers must not hold up anybody else's.
        self._threads = ThreadPoolExecutor(_RESOLVING, "webhook-names")

    async def post(self, url: str, message_id: str, body: bytes) -> Attempt:
        """Post a message; say how that went. Raises nothing."""
        headers = signature.headers(self.keys, message_id, int(time.time()), body)
        try:
            async with asyncio.timeout(self._seconds):
                return _judged(await self._post(httpx.URL(url), headers, body))
        except PrivateAddressError as error:
            return Attempt("stop", str(error))
        except TimeoutError:
            return Attempt("again", f"no answer within {self._seconds:g} s")
        except (httpx.HTTPError, OSError) as error:
            return Attempt("again", _reason(error))
        except Exception:
            logger.exception("telling of run %s broke", message_id)
            return Attempt("again", "an internal error; the log has it")

    async def _post(self, url: httpx.URL, headers: dict[str, str], body: bytes) -> httpx.Response:
        """Post to the first of the host's addresses that can be reached."""
        host = url.raw_host.decode()
        port = url.port or (443 if url.scheme == "https" else 80)
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(self._threads, self._resolve, host, port)
        if not (self._allow_private or all(is_public(each) for each in addresses)):
            raise PrivateAddressError("the address's name leads to a private network")
        *others, last = addresses
        for address in others:
            try:
                return await self._send(url, address, headers, body)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._send(url, last, headers, body)

    async def _send(
        self, url: httpx.URL, address: str, headers: dict[str, str], body: bytes
    ) -> httpx.Response:
        """Post to the very address that was looked at; return the answer, its body unread.

        The name is resolved once and never again: a second answer could be a private one.
        """
        named = {"Host": url.netloc.decode(), "Content-Type": "application/json", **headers}
        secured = {"sni_hostname": url.raw_host.decode()}  # whose certificate it must be
        timeout = httpx.Timeout(self._seconds, connect=_CONNECTING)
        # A client of its own: a connection that is kept belongs to an address, not to a name.
        client = httpx.AsyncClient(verify=self._trusted, trust_env=False, timeout=timeout)
        async with (
            client,
            client.stream(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers=named,
                extensions=secured,
                follow_redirects=False,
            ) as answer,
        ):
            return answer


def _judged(answer: httpx.Response) -> Attempt:
    """Return what a status means. Bodies are not read: nothing that they say would matter."""
    code = answer.status_code
    if answer.is_success:
        return Attempt("delivered")
    if code in _AGAIN or code >= 500:
        return Attempt("again", f"answered {code}", _retry_after(answer))
    if answer.has_redirect_location:
        return Attempt("stop", f"answered {code}: redirects are not followed")
    return Attempt("stop", f"answered {code}")


def _retry_after(answer: httpx.Response) -> float:
    """Return for how many seconds the receiver wants to be left alone; 0 if it does not say."""
    told = answer.headers.get("retry-after", "")
    if told.isascii() and told.isdigit():
        return float(told[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(told).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _reason(error: Exception) -> str:
    """Return what went wrong, without a word that the receiver has chosen."""
    if isinstance(error, httpx.ConnectError | socket.gaierror):
        return f"cannot be reached: {error}"[:300]
    return f"the connection broke: {type(error).__name__}"
