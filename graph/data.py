"""The database of the settings, opened without anything of the agent: a command starts quickly."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager

from db import prompts
from db.embedded import embedded_postgres
from db.errors import DatabaseUnavailableError
from db.migrate import migrate
from db.pool import Database, open_database
from db.prompts import Agent
from graph.seed import first_prompts
from graph.settings import Settings

logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_data(settings: Settings) -> AsyncIterator[Database]:
    """Open the database of the settings, its schema and first prompts in place.

    Raises:
        DatabaseUnavailableError: it cannot be reached; the message names the setting.
    """
    direct = settings.direct_database_url
    direct_url = direct.get_secret_value() if direct else None
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(database_url(settings))
        with naming_pooled(settings):
            database = await stack.enter_async_context(open_database(url, direct_url=direct_url))
        with naming_direct(settings):
            # Not through a pooler: the schema's lock belongs to a session.
            async with open_database(database.url, size=2) as straight:
                await prepare(straight, first_prompts())
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
        raise DatabaseUnavailableError(f"{variable}: {error}") from error


async def prepare(database: Database, first: Mapping[Agent, str]) -> None:
    """Bring the schema up to date, and give agents without a prompt their first one."""
    if newer := (await migrate(database)).newer:
        logger.warning("the schema is of a later version: %s", newer)
    async with database.connection() as connection:
        await prompts.seed(connection, first)


@asynccontextmanager
async def database_url(settings: Settings) -> AsyncIterator[str]:
    """Yield the address of the configured database, or of the embedded one."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
    else:
        async with embedded_postgres(settings.data_dir) as url:
            yield url
