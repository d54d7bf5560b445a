"""One attempt to send a webhook: signed, bounded in time, and never to a private network."""

import asyncio
import base64
import email.utils
import hmac
import logging
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Literal

import httpx

from selfheal.server.webhooks.url_policy import is_public

logger = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 5.0  # for each address of a host
_RETRIED: Final = frozenset({408, 425, 429})
_RESOLVER_THREADS: Final = 16

Resolve = Callable[[str, int], list[str]]


class PrivateAddressError(Exception):
    """A host resolves to an address that nothing may be sent to."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt ended. `retry`: try again, not before `after` seconds."""

    result: Literal["delivered", "retry", "stop"]
    error: str = ""
    after: float = 0.0


def resolve(host: str, port: int) -> list[str]:
    """Return a host's IP addresses.

    Raises:
        OSError: it has none, or no name server answered.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class WebhookSender:
    """Posts signed messages.

    Args:
        keys: each signs every message.
        allow_private: allow addresses of this machine and of its networks.
        resolve: returns a host's IP addresses; called once in an attempt.
        seconds: the time limit of an attempt.
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
        # Threads of its own: a name server that never answers must not block other work.
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, "webhook-names")

    async def post(self, url: str, message_id: str, body: bytes) -> Attempt:
        """Post a message; return how that ended. Raises nothing."""
        headers = signature_headers(self.keys, message_id, int(time.time()), body)
        try:
            async with asyncio.timeout(self._seconds):
                return _attempt_of(await self._post(httpx.URL(url), headers, body))
        except PrivateAddressError as error:
            return Attempt("stop", str(error))
        except TimeoutError:
            return Attempt("retry", f"no answer within {self._seconds:g} s")
        except (httpx.HTTPError, OSError) as error:
            return Attempt("retry", _reason(error))
        except Exception:
            logger.exception("sending the webhook of run %s failed", message_id)
            return Attempt("retry", "internal error; see the log")

    async def _post(self, url: httpx.URL, headers: dict[str, str], body: bytes) -> httpx.Response:
        """Post to the first of the host's addresses that can be reached."""
        host = url.raw_host.decode()
        port = url.port or (443 if url.scheme == "https" else 80)
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(self._threads, self._resolve, host, port)
        if not (self._allow_private or all(is_public(each) for each in addresses)):
            raise PrivateAddressError("the host resolves to a private network")
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
        """Post to the address that was checked; return the answer without reading its body.

        The host is resolved only once: a second result could be a private address.
        """
        named = {"Host": url.netloc.decode(), "Content-Type": "application/json", **headers}
        secured = {
            "sni_hostname": url.raw_host.decode()
        }  # the host that the certificate must be for
        timeout = httpx.Timeout(self._seconds, connect=_CONNECT_SECONDS)
        # A client of its own: its connections belong to an address, not to a host.
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


def _attempt_of(answer: httpx.Response) -> Attempt:
    """Return the meaning of a status code."""
    code = answer.status_code
    if answer.is_success:
        return Attempt("delivered")
    if code in _RETRIED or code >= 500:
        return Attempt("retry", f"answered {code}", _retry_after(answer))
    if answer.has_redirect_location:
        return Attempt("stop", f"answered {code}: redirects are not followed")
    return Attempt("stop", f"answered {code}")


def _retry_after(answer: httpx.Response) -> float:
    """Return the seconds of a Retry-After header, 0 if there is none."""
    value = answer.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _reason(error: Exception) -> str:
    """Return what went wrong, without text that the receiver chose."""
    if isinstance(error, httpx.ConnectError | socket.gaierror):
        return f"cannot be reached: {error}"[:300]
    return f"the connection broke: {type(error).__name__}"


def signature_headers(
    keys: Sequence[bytes], message_id: str, sent_at: int, body: bytes
) -> dict[str, str]:
    """Return the headers of a message, signed by the Standard Webhooks specification.

    Args:
        keys: each signs the message, so that a receiver may have an old key or a new one.
        message_id: the same in each attempt.
        sent_at: seconds since 1970; receivers refuse old messages.
        body: of the message.
    """
    signed = f"{message_id}.{sent_at}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": " ".join(_signature(key, signed) for key in keys),
    }


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
