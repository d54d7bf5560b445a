"""Opening the database that the settings name: connect, migrate, add the first prompts."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager

from selfheal.db import prompts
from selfheal.db.embedded.server import embedded_postgres
from selfheal.db.errors import DatabaseUnavailableError, SchemaError
from selfheal.db.migrate import migrate, require_schema
from selfheal.db.pool import Database, open_database
from selfheal.db.settings import DatabaseSettings
from selfheal.db.types import Agent

logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_migrated(
    settings: DatabaseSettings, first_prompts: Mapping[Agent, str], *, create: bool = True
) -> AsyncIterator[Database]:
    """Open the database, migrated and with a prompt for each agent.

    Args:
        settings: name the database.
        first_prompts: version 1 of each agent's prompt, for agents that have none.
        create: create the embedded database if there is none.

    Raises:
        DatabaseUnavailableError: it cannot be reached; the message names the setting.
        NoClusterError: there is no embedded database, and `create` is False.
        SchemaError: this version cannot work with the schema.
    """
    async with open_any_schema(settings, create=create) as database:
        with naming_direct_setting(settings):
            # Not through a pooler: the migration's advisory lock belongs to a session.
            async with open_database(database.url, size=2) as direct:
                await migrate_and_seed(direct, first_prompts)
        yield database


@asynccontextmanager
async def open_for_reading(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """Open the database as it is: nothing is created or migrated.

    Raises:
        DatabaseUnavailableError: it cannot be reached; the message names the setting.
        NoClusterError: there is no embedded database.
        SchemaError: it has no schema, or that of another version.
    """
    async with open_any_schema(settings, create=False) as database:
        try:
            await require_schema(database)
        except SchemaError as error:
            raise SchemaError(f"{await location(settings, database)}: {error}") from error
        yield database


@asynccontextmanager
async def open_any_schema(settings: DatabaseSettings, *, create: bool) -> AsyncIterator[Database]:
    """Connect to the database without looking at its schema.

    Raises:
        DatabaseUnavailableError: it cannot be reached; the message names the setting.
        NoClusterError: there is no embedded database, and `create` is False.
    """
    direct = settings.direct_database_url
    direct_url = direct.get_secret_value() if direct else None
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(database_url(settings, create=create))
        logger.info("opening the database")
        with naming_setting(settings):
            database = await stack.enter_async_context(open_database(url, direct_url=direct_url))
        yield database


def naming_setting(settings: DatabaseSettings) -> AbstractContextManager[None]:
    """Prefix errors of the body about reaching Postgres with DATABASE_URL, if that is set."""
    return _naming("DATABASE_URL" if settings.database_url else None)


def naming_direct_setting(settings: DatabaseSettings) -> AbstractContextManager[None]:
    """Prefix errors of the body about reaching Postgres with the setting of the direct address."""
    if settings.direct_database_url:
        return _naming("SELFHEAL_DIRECT_DATABASE_URL")
    return naming_setting(settings)


@contextmanager
def _naming(variable: str | None) -> Iterator[None]:
    try:
        yield
    except DatabaseUnavailableError as error:
        if variable is None:
            raise
        raise type(error)(f"{variable}: {error}") from error


async def migrate_and_seed(database: Database, first_prompts: Mapping[Agent, str]) -> None:
    """Migrate the schema, and release a first prompt for each agent that has none.

    Raises:
        SchemaError: this version cannot work with the schema.
    """
    if newer := (await migrate(database)).newer:
        logger.warning("the schema is of a later version: %s", newer)
    async with database.connection() as connection:
        await prompts.seed(connection, first_prompts)


@asynccontextmanager
async def database_url(settings: DatabaseSettings, *, create: bool = True) -> AsyncIterator[str]:
    """Yield the URL of the configured database, else start the embedded one and yield its URL.

    Raises:
        NoClusterError: there is no embedded database, and `create` is False.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
    else:
        async with embedded_postgres(settings.data_dir, create=create) as url:
            yield url


async def location(settings: DatabaseSettings, database: Database) -> str:
    """Return where the database is, for messages: without user and password."""
    if settings.database_url is None:
        return f"the embedded Postgres in {settings.data_dir}"
    async with database.connection() as connection:
        info = connection.info
        return f"database {info.dbname} on {info.host}:{info.port}"
