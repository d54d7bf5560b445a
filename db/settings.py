"""Settings: how each package declares its own, how all are read, and those of the database.

A package declares its settings in a subclass of `Settings` and its functions take that class. The
service combines all of them in one class (selfheal.server.settings) and reads the environment once.
"""

import os
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from typing import Final, TypeVar

import platformdirs
from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from selfheal.db import setting_types
from selfheal.db.address import secrets_of
from selfheal.db.setting_types import Folder, PostgresAddress

_PREFIX: Final = "SELFHEAL_"
_LONGEST_SHOWN: Final = 64  # characters of an unknown variable's name


class SettingsError(Exception):
    """A setting cannot be used. The message is one line that names the variable, not its value."""


class Settings(BaseSettings):
    """Base of all settings: environment variables, immutable once read.

    The variable is the field's name in capitals with our prefix, or the field's alias: the
    standard name of a library.
    docs/settings.md is generated from the fields: each needs a description.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )


class DatabaseSettings(Settings):
    """Where the data is."""

    database_url: PostgresAddress | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="your Postgres, 14 or later; unset, an embedded one. Characters such as `@ / %`"
        " in the password are percent-encoded; libpq's `KEY=VALUE` pairs are accepted too, and"
        " its variables (`PGPASSWORD` …) supply what is omitted",
    )
    direct_database_url: PostgresAddress | None = Field(
        None,
        description="the same database without a pooler (PgBouncer), for LISTEN and migrations",
    )
    data_dir: Folder = Field(
        default_factory=lambda: platformdirs.user_data_path("selfheal"),
        description="folder of the embedded Postgres; unset, in the user's folder for data",
    )


AnySettings = TypeVar("AnySettings", bound=Settings)


def variables(settings: type[Settings], name: str) -> tuple[str, ...]:
    """Return the environment variables of a field, the preferred one first."""
    alias = settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (str(alias or f"{_PREFIX}{name.upper()}"),)


def known_variables(settings: type[Settings]) -> frozenset[str]:
    """Return every environment variable that a class reads."""
    return frozenset(
        variable for name in settings.model_fields for variable in variables(settings, name)
    )


def secret_values(settings: type[Settings]) -> Iterator[str]:
    """Yield the secrets in the environment, valid or not, and those that are parts of a value.

    Args:
        settings: the class whose secret fields are looked for.
    """
    for name, field in settings.model_fields.items():
        if not setting_types.is_secret(field):
            continue
        for value in filter(None, map(os.environ.get, variables(settings, name))):
            yield value
            yield from secrets_of(value)
            for part in value.split(","):
                yield from (part.strip(), part.partition("=")[2].strip())


def read(settings: type[AnySettings], foreign: Collection[str] = ()) -> AnySettings:
    """Read the environment.

    Args:
        settings: the class of all settings that this process knows.
        foreign: variables of our prefix that other programs read.

    Raises:
        SettingsError: a variable of our prefix is unknown, or a value cannot be used.
    """
    _refuse_unknown(known_variables(settings), foreign)
    _refuse_undecodable(known_variables(settings))
    try:
        return settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    # Raised outside of the handler: the context would hold pydantic's error, which has the value.
    raise SettingsError(_message(settings, str(first["loc"][0]), first["type"], first["msg"]))


def _refuse_unknown(known: Collection[str], foreign: Collection[str]) -> None:
    """Refuse a misspelt setting, which would silently have no effect.

    Raises:
        SettingsError: with the nearest name, if one is near.
    """
    names = {variable.removeprefix(_PREFIX): variable for variable in known}
    for given in sorted(os.environ):
        name = given.upper()
        if name.startswith(_PREFIX) and name not in {*known, *foreign}:
            near = get_close_matches(name[:_LONGEST_SHOWN].removeprefix(_PREFIX), names, 1)
            guess = f"did you mean {names[near[0]]}? " if near else ""
            shown = ascii(given[:_LONGEST_SHOWN])[1:-1]
            raise SettingsError(f"{shown}: no such setting; {guess}docs/settings.md lists them all")


def _refuse_undecodable(known: Collection[str]) -> None:
    """Refuse values that are not UTF-8, on which each library would fail in its own way.

    Raises:
        SettingsError: with the variable's name.
    """
    for name in sorted(os.environ.keys() & set(known)):
        try:
            os.environ[name].encode()
        except UnicodeEncodeError:
            raise SettingsError(f"{name}: is not UTF-8") from None


def _message(settings: type[Settings], location: str, kind: str, message: str) -> str:
    """Return the message for a refused value.

    Args:
        settings: the class that was read.
        location: the field or the variable that pydantic names.
        kind: pydantic's type of error.
        message: pydantic's message, which is used only if one of our validators wrote it.
    """
    fields = settings.model_fields
    name = next(each for each in fields if location in (each, *variables(settings, each)))
    candidates = variables(settings, name)
    given = next(filter(os.environ.get, candidates), candidates[0])
    own = message.removeprefix("Value error, ") if kind == "value_error" else ""
    reason = own or f"must be {setting_types.description(fields[name])}".replace("`", "")
    return f"{given}: {reason}"
