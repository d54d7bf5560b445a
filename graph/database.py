"""The database of the settings, opened without anything of the agent: a command starts quickly."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager

from selfheal.db import prompts
from selfheal.db.embedded.server import embedded_postgres
from selfheal.db.errors import DatabaseUnavailableError, SchemaError
from selfheal.db.migrate import migrate, require_schema
from selfheal.db.pool import Database, open_database
from selfheal.db.types import Agent
from selfheal.graph.prompts import first_prompts
from selfheal.graph.settings import Settings

logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_data(settings: Settings, *, create: bool = True) -> AsyncIterator[Database]:
    """Open the database of the settings, its schema and first prompts in place.

    Args:
        settings: they name the database.
        create: make the embedded one where there is none.

    Raises:
        DatabaseUnavailableError: it cannot be reached; the message names the setting.
        NoClusterError: there is no embedded database, and none may be made.
    """
    async with connected(settings, create=create) as database:
        with naming_direct(settings):
            # Not through a pooler: the schema's lock belongs to a session.
            async with open_database(database.url, size=2) as straight:
                await prepare(straight, first_prompts())
        yield database


@asynccontextmanager
async def open_for_reading(settings: Settings) -> AsyncIterator[Database]:
    """Open the database of the settings as it is: nothing is made, nothing is brought up to date.

    Raises:
        DatabaseUnavailableError: it cannot be reached; the message names the setting.
        NoClusterError: there is no embedded database.
        SchemaError: it has no schema, or another version's.
    """
    async with connected(settings, create=False) as database:
        try:
            await require_schema(database)
        except SchemaError as error:
            raise SchemaError(f"{await whereabouts(settings, database)}: {error}") from error
        yield database


@asynccontextmanager
async def connected(settings: Settings, *, create: bool) -> AsyncIterator[Database]:
    """Connect to the database of the settings, whatever its schema.

    Raises:
        DatabaseUnavailableError: it cannot be reached; the message names the setting.
        NoClusterError: there is no embedded database, and none may be made.
    """
    direct = settings.direct_database_url
    direct_url = direct.get_secret_value() if direct else None
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(database_url(settings, create=create))
        logger.info("opening the database")
        with naming_pooled(settings):
            database = await stack.enter_async_context(open_database(url, direct_url=direct_url))
        yield database


def naming_pooled(settings: Settings) -> AbstractContextManager[None]:
    """Name DATABASE_URL where Postgres cannot be reached inside."""
    return _naming("DATABASE_URL" if settings.database_url else None)


def naming_direct(settings: Settings) -> AbstractContextManager[None]:
    """Name the setting of the direct address where Postgres cannot be reached inside."""
    if settings.direct_database_url:
        return _naming("SELFHEAL_DIRECT_DATABASE_URL")
    return naming_pooled(settings)


@contextmanager
def _naming(variable: str | None) -> Iterator[None]:
    try:
        yield
    except DatabaseUnavailableError as error:
        if variable is None:
            raise
        raise type(error)(f"{variable}: {error}") from error


async def prepare(database: Database, first: Mapping[Agent, str]) -> None:
    """Bring the schema up to date, and give agents without a prompt their first one."""
    if newer := (await migrate(database)).newer:
        logger.warning("the schema is of a later version: %s", newer)
    async with database.connection() as connection:
        await prompts.seed(connection, first)


@asynccontextmanager
async def database_url(settings: Settings, *, create: bool = True) -> AsyncIterator[str]:
    """Yield the address of the configured database, or of the embedded one.

    Raises:
        NoClusterError: there is no embedded database, and none may be made.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
    else:
        async with embedded_postgres(settings.data_dir, create=create) as url:
            yield url


async def whereabouts(settings: Settings, database: Database) -> str:
    """Return which database it is, in words and without a password."""
    if settings.database_url is None:
        return f"the embedded Postgres in {settings.data_dir}"
    async with database.connection() as connection:
        info = connection.info
        return f"database {info.dbname} on {info.host}:{info.port}"
