"""Versions that were live before the incumbent: the first candidates of a healing."""

from selfheal.db import healings, prompts
from selfheal.db.pool import Connection
from selfheal.db.types import Agent, Origin
from selfheal.optimizer.records.cases import EarlierVersion, Version


async def earlier_versions(
    connection: Connection, incumbent: Version, agent: Agent, good: Version | None
) -> list[EarlierVersion]:
    """Return the versions to try before candidates are written, the most promising first.

    Args:
        connection: to the prompts and healings.
        incumbent: the live version.
        agent: whose prompt it is.
        good: the newest version with a good record of runs, if there is one.
    """
    live = incumbent["version"]
    known: list[tuple[Origin, int | None]] = [
        ("proven", await healings.proven_against(connection, agent, live)),
        ("last_good", good["version"] if good else None),
        ("predecessor", await _predecessor(connection, agent)),
    ]
    versions: list[EarlierVersion] = []
    seen = {live}
    for origin, version in known:
        if version is not None and version not in seen:
            seen.add(version)
            text = (await prompts.get(connection, agent, version)).text
            versions.append(EarlierVersion(version=version, text=text, origin=origin))
    return versions


async def _predecessor(connection: Connection, agent: Agent) -> int | None:
    """Return the version that the live one replaced, unless another was proven better than it."""
    version = await prompts.before(connection, await prompts.head(connection, agent))
    if version is None or await healings.proven_against(connection, agent, version):
        return None
    return version
