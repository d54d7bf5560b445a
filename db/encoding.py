"""Text and JSON in forms that Postgres can store."""

from typing import Any, TypeVar

from psycopg.types.json import Jsonb

Text = TypeVar("Text", str, str | None)


def storable(text: Text) -> Text:
    """Replace what Postgres cannot store in text: NUL, and halves of surrogate pairs."""
    if text is None:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def json(value: Any) -> Jsonb | None:
    """Wrap a JSON value for a jsonb column, with its texts made storable; None stays null."""
    return None if value is None else Jsonb(clean(value))


def clean(value: Any) -> Any:
    """Return a JSON value with all its texts made storable."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {storable(str(key)): clean(item) for key, item in value.items()}
    return value
