"""Addresses of Postgres: validation, and display without the password.

libpq quotes what it cannot parse, and psycopg repeats that: so their messages about the form of an
address are never shown. The messages here quote no part of it.
"""

import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Final
from urllib.parse import unquote

from psycopg import Error
from psycopg.conninfo import conninfo_to_dict

ADDRESS_FORM: Final = "postgresql://USER:PASSWORD@HOST:5432/DATABASE"

_SCHEMES: Final = ("postgresql://", "postgres://")
_LABEL: Final = "[A-Za-z0-9_-]{1,63}"
HOST_NAME: Final = rf"{_LABEL}(?:\.{_LABEL})*\.?"
IPV6: Final = r"(?=[0-9A-Fa-f.]{0,45}:)[0-9A-Fa-f:.]{2,45}"
_HOST: Final = re.compile(rf"{HOST_NAME}|{IPV6}(?:%[\w.-]+)?|[/@][^\s@]+")
_LONGEST_HOST: Final = 253  # the limit of DNS
_SECRETS: Final = ("password", "sslpassword", "oauth_client_secret")


class AddressError(ValueError):
    """An address that libpq cannot use; the message quotes no part of it."""


def check_address(address: str) -> None:
    """Check an address, a URL or libpq's KEY=VALUE pairs, without connecting.

    Raises:
        AddressError: libpq does not accept its form, or a part of it is not a valid host, port or
            database, as happens with an unescaped password.
    """
    is_url = address.startswith(_SCHEMES)
    found = _parsed(address)
    if found is None:
        raise AddressError(f"{_likely_error(address) if is_url else _NO_URL}; write {ADDRESS_FORM}")
    if any(_control(value) for value in found.values()):
        raise AddressError(f"holds a line end or another control character; write {ADDRESS_FORM}")
    hosts, ports = found.get("host", "").split(","), found.get("port", "").split(",")
    misread = is_url and ("@" in found.get("dbname", "") or hosts[0].startswith("@"))
    if misread or not all(host == "" or _is_host(host) for host in hosts):
        raise AddressError(
            f"{_likely_error(address) if is_url else 'names no host'}; write {ADDRESS_FORM}"
        )
    if not all(port == "" or _is_port(port) for port in ports):
        raise AddressError(f"has a port outside 1 to 65535; write {ADDRESS_FORM}")


def shown_address(address: str) -> str:
    """Return hosts, ports and database of a checked address, and nothing else."""
    found = _parsed(address) or {}
    hosts = found.get("host", found.get("hostaddr", "")).split(",")
    ports = found.get("port", "").split(",")
    if len(ports) == 1:  # libpq uses one port for all hosts
        ports *= len(hosts)
    names = (f"[{host}]" if ":" in host else host for host in hosts)
    places = (f"{host}:{port}" if port else host for host, port in zip_longest(names, ports))
    return f"{','.join(places)}/{found.get('dbname', '')}"


def secrets_of(address: str) -> tuple[str, ...]:
    """Return the secrets in an address, as written and percent-decoded."""
    found = _parsed(address) or {}
    plain = [found[name] for name in _SECRETS if name in found]
    written = re.search(r"://[^:/@]*:([^@/]*)@", address)
    return (*plain, written[1]) if written else tuple(plain)


_NO_URL: Final = (
    "begins with no postgresql:// and holds no KEY=VALUE pairs (a driver as in postgresql+asyncpg://"
    " and the jdbc: before it are left out)"
)


def _parsed(address: str) -> Mapping[str, str] | None:
    """Return the parameters that libpq parses from an address, None if it cannot."""
    try:
        return {name: str(value) for name, value in conninfo_to_dict(address).items()}
    except (Error, UnicodeError):
        return None


def _likely_error(url: str) -> str:
    """Return the most likely error of a URL, usually a character that must be percent-encoded."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", url):
        return "holds a % that encodes nothing: write % as %25"
    if re.search(r"\s", url):
        return "holds a space or a line end: write a space as %20"
    authority, _, path = url.partition("?")[0].partition("://")[2].partition("/")
    if authority.count("@") > 1 or "@" in path:
        return "holds one @ or / too many: write @ as %40 and / as %2F in user name and password"
    if re.search(r"[][]", url):
        return "holds a [ or ] that encloses no IPv6 address: write [ as %5B and ] as %5D"
    if _control(unquote(url)) or "\N{REPLACEMENT CHARACTER}" in unquote(url):
        return "holds a percent-encoding that is not text"
    return "has an unknown option or an invalid host, or separates them wrongly"


def _control(text: str) -> bool:
    return any(ord(character) < 32 or ord(character) == 127 for character in text)


def _is_host(text: str) -> bool:
    return len(text) <= _LONGEST_HOST and _HOST.fullmatch(text) is not None


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and 1 <= int(text) <= 65_535
