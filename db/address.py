"""The address of a Postgres: checked, and shown without its password.

libpq quotes what it cannot read, and psycopg passes that on: so nothing of either's messages about
the form of an address is ever shown. The words here name no part of it.
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
_LONGEST_HOST: Final = 253  # as DNS has it
_SECRETS: Final = ("password", "sslpassword", "oauth_client_secret")


class AddressError(ValueError):
    """An address that libpq cannot use; the message quotes no part of it."""


def check_address(address: str) -> None:
    """Check an address, a URL or libpq's KEY=VALUE pairs, as far as that goes without connecting.

    Raises:
        AddressError: it is of no form that libpq takes, or a part of it can be no host, port or
            database, which is how an unescaped password ends up in them.
    """
    is_url = address.startswith(_SCHEMES)
    found = _parsed(address)
    if found is None:
        raise AddressError(f"{_why(address) if is_url else _NO_URL}; write {ADDRESS_FORM}")
    if any(_control(value) for value in found.values()):
        raise AddressError(f"holds a line end or another control character; write {ADDRESS_FORM}")
    hosts, ports = found.get("host", "").split(","), found.get("port", "").split(",")
    misread = is_url and ("@" in found.get("dbname", "") or hosts[0].startswith("@"))
    if misread or not all(host == "" or _is_host(host) for host in hosts):
        raise AddressError(f"{_why(address) if is_url else 'names no host'}; write {ADDRESS_FORM}")
    if not all(port == "" or _is_port(port) for port in ports):
        raise AddressError(f"names a port that is not from 1 to 65535; write {ADDRESS_FORM}")


def shown_address(address: str) -> str:
    """Return where an address that was checked leads: hosts, ports and database, nothing else."""
    found = _parsed(address) or {}
    hosts = found.get("host", found.get("hostaddr", "")).split(",")
    ports = found.get("port", "").split(",")
    if len(ports) == 1:  # libpq takes one port for all hosts
        ports *= len(hosts)
    names = (f"[{host}]" if ":" in host else host for host in hosts)
    places = (f"{host}:{port}" if port else host for host, port in zip_longest(names, ports))
    return f"{','.join(places)}/{found.get('dbname', '')}"


def secrets_of(address: str) -> tuple[str, ...]:
    """Return the secrets in an address, as they are written and as they are meant."""
    found = _parsed(address) or {}
    plain = [found[name] for name in _SECRETS if name in found]
    written = re.search(r"://[^:/@]*:([^@/]*)@", address)
    return (*plain, written[1]) if written else tuple(plain)


_NO_URL: Final = (
    "begins with no postgresql:// and holds no KEY=VALUE pairs (a driver as in postgresql+asyncpg://"
    " and the jdbc: before it are left out)"
)


def _parsed(address: str) -> Mapping[str, str] | None:
    """Return what libpq reads in an address, None if it cannot."""
    try:
        return {name: str(value) for name, value in conninfo_to_dict(address).items()}
    except (Error, UnicodeError):
        return None


def _why(url: str) -> str:
    """Return what is wrong with a URL, most likely: a character that must be percent-encoded."""
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
        return "holds a percent-encoding of no text"
    return "names a host or an option that there is not, or separates it wrongly"


def _control(text: str) -> bool:
    return any(ord(character) < 32 or ord(character) == 127 for character in text)


def _is_host(text: str) -> bool:
    return len(text) <= _LONGEST_HOST and _HOST.fullmatch(text) is not None


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and 1 <= int(text) <= 65_535
