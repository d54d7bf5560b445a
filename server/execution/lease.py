"""Believing in a claim as long as its process lives, and learning that it is to end."""

import asyncio
import contextlib
import logging
from typing import Final, Literal

from selfheal.db import claims
from selfheal.db.claims import Claim
from selfheal.db.errors import DatabaseError
from selfheal.db.pool import Database
from selfheal.server.execution.notifications import CANCELS, News

logger = logging.getLogger(__name__)

_RENEWALS: Final = 4  # within a lease
_FIRST: Final = 0.25  # seconds; a cancellation may have come before we listened

Reason = Literal["lost", "interrupt", "rollback"]


async def keep(database: Database, news: News, claim: Claim, lease: float) -> Reason:
    """Renew a claim until it is lost, or its run is to be cancelled; return which.

    While Postgres is away nothing is known, so nothing is given up: what the run would write is
    fenced anyway.
    """
    patience = min(_FIRST, lease / _RENEWALS)
    with news.of(CANCELS, claim.id) as asked:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await asked.wait()
            asked.clear()
            patience = lease / _RENEWALS
            try:
                async with database.connection() as connection:
                    action = await claims.renew(connection, claim, lease)
                if action:
                    return action
            except LookupError:
                return "lost"
            except DatabaseError as error:
                logger.warning("the lease of run %s was not renewed: %s", claim.id, error)
