"""Versions that were live before the incumbent: the first candidates of a healing.

A careless edit of a prompt is best reverted, and a rewrite must not lose the limits that an earlier
version set.
"""

from typing import Final

from selfheal.db import healings, prompts
from selfheal.db.pool import Connection
from selfheal.db.types import Agent, Origin
from selfheal.optimizer.state import EarlierVersion, Version
from selfheal.optimizer.text.sentences import restricts, split_sentences
from selfheal.optimizer.text.similarity import stems

_SAME: Final = 0.8  # the share of a sentence's stems that another must contain to replace it
_MOST_SENTENCES: Final = 200


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


def restore_limits(text: str, earlier: str) -> tuple[str, list[str]]:
    """Append to a rewritten prompt the limits of an earlier version that it dropped.

    A limit is a sentence that forbids or restricts something. It counts as kept if some sentence of
    the rewritten prompt contains most of its words.

    Args:
        text: the rewritten prompt.
        earlier: the earlier version.

    Returns:
        The prompt, and the sentences that were appended.
    """
    present = [stems(sentence.text) for sentence in split_sentences(text, _MOST_SENTENCES)]
    sentences = [sentence.text.strip() for sentence in split_sentences(earlier, _MOST_SENTENCES)]
    limits = [sentence for sentence in sentences if restricts(sentence)]
    dropped = [limit for limit in limits if not _contained(stems(limit), present)]
    return "\n\n".join([text, "\n".join(dropped)]) if dropped else text, dropped


def _contained(sentence: set[str], others: list[set[str]]) -> bool:
    return any(len(sentence & other) >= _SAME * len(sentence) for other in others)
