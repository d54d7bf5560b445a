"""Signatures of the Standard Webhooks specification, so that receivers can check with its tools."""

import base64
import hmac
from collections.abc import Sequence


def headers(keys: Sequence[bytes], message_id: str, sent_at: int, body: bytes) -> dict[str, str]:
    """Return the headers of a signed message.

    Args:
        keys: all sign it, so that a receiver may know the old one or the new one.
        message_id: the same at each attempt.
        sent_at: seconds since 1970; a receiver refuses what is too old.
    """
    signed = f"{message_id}.{sent_at}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": " ".join(_signature(key, signed) for key in keys),
    }


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
