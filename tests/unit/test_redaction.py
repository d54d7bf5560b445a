"""What is shown of another program's message: bounded, printable, without secrets and echoes."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from selfheal.app.redaction import LONGEST, redact

KEY = "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("  User location\n is not\tsupported ", "User location is not supported"),
        ("\x1b[31mred\x00\u200b\u202e", "[31mred"),
        (f"the key {KEY} was leaked", "the key … was leaked"),
        ("Incorrect API key provided: sk-pro*****wxyz.", "Incorrect API key provided: …"),
        ("Authorization: Bearer abc.def", "Authorization: …"),
        ("hash 0123456789abcdef0123456789abcdef0", "hash …"),
        ("token Zm9vYmFyMTIzNDU2Nzg5MA==", "token …"),
        ("see https://me:pw@h.example:8/p?key=1#f now", "see https://h.example:8/p now"),
        ("postgresql://app:S3cret@h/x", "postgresql://h/x"),
        ("http://[broken?key=1", "…"),
        (
            "Unknown name \"x\" at 'generation_config.response_json_schema.properties[0].value'",
            "Unknown name \"x\" at 'generation_config.response_json_schema.properties[0].value'",
        ),
        ("models/gemini-3.8-flash-preview-04-17", "models/gemini-3.8-flash-preview-04-17"),
    ],
)
def test_one_line_without_controls_keys_and_queries(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_a_long_message_is_cut() -> None:
    found = redact("word " * 100_000)
    assert len(found) == LONGEST
    assert found.endswith("…")


def test_a_quotation_of_what_was_sent_is_left_out() -> None:
    sent = "You are the worker.\nWrite is_leap_year(year), Gregorian calendar, for our client."
    said = "Invalid text: 'Write is_leap_year(year), Gregorian calendar, for our' at part 0"
    assert redact(said, sent=sent) == "Invalid text: '…' at part 0"


def test_no_part_of_a_secret_is_left_where_the_text_is_cut() -> None:
    for place in range(1970, 2001):
        query = "https://host.example/?" + "q" * (place - 23)
        assert "plain" not in redact(f"{query} plainsecretofwords", ["plainsecretofwords"])


def test_short_values_are_no_secrets() -> None:
    assert redact("a bad request", ["a", ""]) == "a bad request"


@given(
    secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=80),
    before=st.text(max_size=40),
    filler=st.integers(0, 3000),
    after=st.text(max_size=40),
)
def test_a_secret_is_in_no_message(secret: str, before: str, filler: int, after: str) -> None:
    secret = "".join(c for c in secret if c.isprintable()).strip()
    assume(len(" ".join(secret.split())) >= 8)
    found = redact(before + "x " * filler + secret + after, [secret])
    assert secret not in found
    half = " ".join(secret.split())[: max(6, len(secret) // 2)]
    assert half not in found or half in redact(before + "x " * filler + after)
