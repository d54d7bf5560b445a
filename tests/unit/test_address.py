"""The address of a Postgres is checked before libpq sees it, in words that quote no part of it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import Error
from psycopg.conninfo import conninfo_to_dict

from selfheal.db.address import AddressError, check_address, secrets_of, shown_address
from tests.support.invalid_settings import ADDRESSES, MARK


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_wrong_address_is_not_quoted(address: str) -> None:
    with pytest.raises(AddressError) as refused:
        check_address(address)
    assert MARK not in str(refused.value)
    assert "write postgresql://USER:PASSWORD@HOST:5432/DATABASE" in str(refused.value)
    assert refused.value.__cause__ is refused.value.__context__ is None


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql+asyncpg://u:p@h/x", "begins with no postgresql://"),
        ("jdbc:postgresql://h/x", "begins with no postgresql://"),
        ("postgresql://u:50%@h/x", "write % as %25"),
        ("postgresql://u:a b@h/x", "write a space as %20"),
        ("postgresql://u:a@b@h/x", "write @ as %40"),
        ("postgresql://u:a/b@h/x", "/ as %2F"),
        ("postgresql://u:1/b@h/x", "/ as %2F"),
        ("postgresql://u:p@[h/x", "write [ as %5B"),
        ("postgresql://u:p@h:70000/x", "port"),
        ("postgresql://u:p@h/x\n", "line end"),
    ],
)
def test_it_says_what_is_wrong(address: str, words: str) -> None:
    with pytest.raises(AddressError) as refused:
        check_address(address)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://u:pass@h/x", "h/x"),
        ("postgres://u@h:6543/x?sslmode=require&password=pass", "h:6543/x"),
        ("postgresql://u:pa?s#s[@h/x", "h/x"),
        ("postgresql://u:p%40ss%2F@h/x", "h/x"),
        ("postgresql://u:pass@h1:1,h2:2/x", "h1:1,h2:2/x"),
        ("postgresql://u:pass@[::1]:5/x", "[::1]:5/x"),
        ("postgresql://u:pass@%2Fvar%2Frun/x", "/var/run/x"),
        ("postgresql:///x", "/x"),
        ("host=h1,h2 port=5432 dbname=x password='pass word'", "h1:5432,h2:5432/x"),
        ("service=prod password=pass", "/"),
    ],
)
def test_what_libpq_takes_is_taken_and_shown_without_password(address: str, shown: str) -> None:
    check_address(address)
    assert shown_address(address) == shown


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_any_password_is_taken_as_it_is_meant_or_refused(password: str) -> None:
    """A password that is not encoded: where it is taken, it is read as a password alone."""
    address = f"postgresql://app:{password}@db.example:5432/x"
    with suppress(AddressError):
        check_address(address)
        read = conninfo_to_dict(address)
        assert (read["user"], read["host"], read["port"]) == ("app", "db.example", "5432")
        assert read["password"] in secrets_of(address)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_what_libpq_refuses_is_refused(address: str) -> None:
    for form in (address, f"postgresql://{address}", f"host=h {address}"):
        try:
            conninfo_to_dict(form)
        except (Error, UnicodeError):
            with pytest.raises(AddressError):
                check_address(form)
