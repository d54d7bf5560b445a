"""Types of settings: what each accepts, and how that is described.

The description is shown in docs/settings.md, and after "must be" in the error for another value. No
error quotes the value: it may be a secret, or one that was pasted into the wrong variable.
"""

import base64
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin
from urllib.parse import unquote

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from selfheal.db.address import ADDRESS_FORM, HOST_NAME, IPV6, check_address


@dataclass(frozen=True, slots=True)
class Form:
    """The description of a form that neither type nor bounds express."""

    description: str


def _matching(pattern: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError
        return value

    return AfterValidator(check)


def _split(value: object) -> object:
    """Split a comma-separated list."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def in_lower_case(value: object) -> object:
    """Convert a keyword to lower case, so that any case is accepted."""
    return value.lower() if isinstance(value, str) else value


def _address(value: SecretStr) -> SecretStr:
    check_address(value.get_secret_value())
    return value


def _header_value(value: SecretStr) -> SecretStr:
    """Check the value of an HTTP header: clients quote an invalid one in their errors."""
    if not re.fullmatch(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", value.get_secret_value()):
        raise ValueError
    return value


def _headers(value: SecretStr) -> SecretStr:
    """Check a list of headers for the same reason, with percent-encoding decoded."""
    for each in value.get_secret_value().split(","):
        name, separator, content = each.partition("=")
        named = re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name.strip(), re.ASCII)
        if not separator or not named or not re.fullmatch(r"[\x20-\x7e]*", unquote(content)):
            raise ValueError
    return value


def signing_keys(secrets: SecretStr) -> tuple[bytes, ...]:
    """Decode the keys of `whsec_…,whsec_…`, 24 to 64 bytes each.

    Raises:
        ValueError: one has another form or length.
    """
    return tuple(_signing_key(each.strip()) for each in secrets.get_secret_value().split(","))


def _signing_key(text: str) -> bytes:
    prefix, _, encoded = text.partition("_")
    key = base64.b64decode(encoded, validate=True)
    if prefix != "whsec" or not 24 <= len(key) <= 64:
        raise ValueError
    return key


def _signing_secrets(value: SecretStr) -> SecretStr:
    try:
        signing_keys(value)
    except ValueError:
        raise ValueError from None  # base64's message quotes the value
    return value


def _webhook_address(value: SecretStr) -> SecretStr:
    """Check the address of a webhook, which may contain the right to post there."""
    address = value.get_secret_value()
    if not re.fullmatch(rf"{_ORIGIN}(?:/[\x21\x22\x24-\x7e]*)?", address):
        raise ValueError
    _valid_ip(address)
    return value


def _command(value: SecretStr) -> SecretStr:
    """Check a command line, which may contain secrets."""
    try:
        words = shlex.split(value.get_secret_value())
    except ValueError:
        raise ValueError from None
    if not words:
        raise ValueError
    return value


def _folder(value: Path) -> Path:
    try:
        unusable = value.exists() and not value.is_dir()
    except OSError:  # the path is too long, or a parent cannot be read
        unusable = True
    if unusable:
        raise ValueError
    return value


def _valid_ip(value: str) -> str:
    """Check a numeric host; HTTP clients fail on an invalid one only when they are opened."""
    found = re.match(r"https?://(?:\[([^]]+)\]|((?:[0-9]+\.){3}[0-9]+)(?=[:/]|$))", value)
    try:
        if found:
            ip_address(found[1] or found[2])
    except ValueError:
        raise ValueError from None  # the message quotes the address
    return value


_ORIGIN: Final = (
    rf"https?://(?:{HOST_NAME}|\[{IPV6}\])"
    r"(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
)
_PATH: Final = r"[\x21\x22\x24-\x3e\x40-\x7e]"  # printable ASCII without ? and #
_MODEL: Final = r"[A-Za-z][A-Za-z0-9_-]*:[\x21-\x2b\x2d-\x7e]+"

Key = Annotated[
    SecretStr, AfterValidator(_header_value), Form("printable ASCII without a space at either end")
]
_ADDRESS: Final = Form(f"`{ADDRESS_FORM}`")
PostgresAddress = Annotated[SecretStr, AfterValidator(_address), _ADDRESS]
SigningSecrets = Annotated[
    SecretStr,
    AfterValidator(_signing_secrets),
    Form("`whsec_` and base64 of 24 to 64 random bytes, several separated by commas"),
]
Headers = Annotated[
    SecretStr, AfterValidator(_headers), Form("`NAME=VALUE`, several separated by commas")
]
ModelName = Annotated[str, _matching(_MODEL), Form("`provider:model`")]
ModelNames = Annotated[
    tuple[Annotated[str, _matching(_MODEL)], ...],
    NoDecode,
    BeforeValidator(_split),
    Form("`provider:model`, several separated by commas"),
]
HttpAddress = Annotated[
    str,
    _matching(rf"{_ORIGIN}(?:/{_PATH}*)?"),
    AfterValidator(_valid_ip),
    Form("`http://HOST:PORT` or `https://…`, with no user, password or query"),
]
PublicAddress = Annotated[
    str,
    _matching(rf"{_ORIGIN}(?:/{_PATH}*(?<!/))?"),
    AfterValidator(_valid_ip),
    Form("`https://HOST` with no user, password or query and no slash at the end"),
]
Origins = Annotated[
    tuple[Annotated[str, _matching(_ORIGIN), AfterValidator(_valid_ip)], ...],
    NoDecode,
    BeforeValidator(_split),
    Form("`https://HOST` or `https://HOST:PORT`, several separated by commas"),
]
Name = Annotated[
    str, _matching(r"[^\x00-\x1f\x7f]{1,200}"), Form("1 to 200 characters, no control characters")
]
WebhookAddress = Annotated[
    SecretStr,
    AfterValidator(_webhook_address),
    Form("`https://HOST/PATH`, with no user or password"),
]
Command = Annotated[
    SecretStr, AfterValidator(_command), Form("a command with its arguments, quoted as in a shell")
]
Folder = Annotated[Path, AfterValidator(_folder), Form("the path of a folder")]
# LangSmith's client takes everything but exactly `true` for false.
TrueOrFalse = Literal["true", "false"]


def is_secret(field: FieldInfo) -> bool:
    """Return whether a setting's value must never be shown."""
    return SecretStr in parts(field)


def is_address(field: FieldInfo) -> bool:
    """Return whether a setting is an address of Postgres, of which host and port may be shown."""
    return _ADDRESS in parts(field)


def description(field: FieldInfo) -> str:
    """Describe the values that a setting accepts, with their bounds."""
    found = list(parts(field))
    for part in found:
        if isinstance(part, Form):
            return part.description + _length(found)
    choices = [
        str(each) for part in found if get_origin(part) is Literal for each in get_args(part)
    ]
    if choices:
        return f"{', '.join(f'`{each}`' for each in choices[:-1])} or `{choices[-1]}`"
    if bool in found:
        return "`true` or `false`"
    return f"{'a whole number' if int in found else 'a number'} {_bounds(found)}"


def parts(field: FieldInfo) -> Iterator[Any]:
    """Yield the type of a field without None, and the metadata of both."""
    yield from field.metadata
    yield from _unwrapped(field.annotation)


def _unwrapped(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        for each in metadata:
            yield from each.metadata if isinstance(each, FieldInfo) else (each,)
        yield from _unwrapped(inner)
    elif get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            if each is not NoneType:
                yield from _unwrapped(each)
    else:
        yield annotation


def _length(found: list[Any]) -> str:
    return "".join(f", at least {x.min_length} characters" for x in found if isinstance(x, MinLen))


def _bounds(found: list[Any]) -> str:
    lows = (
        f"from {x.ge}" if isinstance(x, Ge) else f"above {x.gt}, up"
        for x in found
        if isinstance(x, Ge | Gt)
    )
    highs = (x.le for x in found if isinstance(x, Le))
    return f"{next(lows)} to {next(highs)}"
