"""Versions that were live before the incumbent: the first candidates of a healing.

A prompt edited in a hurry is best reverted, and a rewrite must not lose the limits that the version
before it set.
"""

import re
from typing import Final

from selfheal.db import healings, prompts
from selfheal.db.pool import Connection
from selfheal.db.types import Agent, Origin
from selfheal.optimizer.state import EarlierVersion, Version
from selfheal.optimizer.text.sentences import pieces
from selfheal.optimizer.text.similarity import stems

# English, as the prompts that ship are. A sentence too many costs a few words; one too few shows in
# the candidate's diff, as all that it drops.
_LIMIT: Final = re.compile(
    r"n't\b|\b(?:never|not|no|nor|cannot|only|must|without|avoid|ignore|nothing|forbid\w*|refuse\w*)\b",
    re.IGNORECASE,
)
_SAME: Final = 0.8  # the share of a sentence's words that another has, if it says the same
_MOST_SENTENCES: Final = 200


async def earlier_versions(
    connection: Connection, incumbent: Version, agent: Agent, good: Version | None
) -> list[EarlierVersion]:
    """Return the versions to try before any other is written, the best known first, each once.

    Args:
        connection: to the prompts and healings.
        incumbent: what is live.
        agent: whose prompt it is.
        good: the newest version whose runs passed, if there is one.
    """
    live = incumbent["version"]
    known: list[tuple[Origin, int | None]] = [
        ("proven", await healings.proven_against(connection, agent, live)),
        ("last_good", good["version"] if good else None),
        ("predecessor", await _predecessor(connection, agent)),
    ]
    found: list[EarlierVersion] = []
    for origin, version in known:
        if version is not None and version not in (live, *(each["version"] for each in found)):
            text = (await prompts.get(connection, agent, version)).text
            found.append(EarlierVersion(version=version, text=text, origin=origin))
    return found


async def _predecessor(connection: Connection, agent: Agent) -> int | None:
    """Return what the live version replaced, unless a healing has shown that to be broken."""
    version = await prompts.before(connection, await prompts.head(connection, agent))
    if version is None or await healings.proven_against(connection, agent, version):
        return None
    return version


def restored(text: str, earlier: str) -> tuple[str, list[str]]:
    """Return a rewritten prompt with the limits of an earlier version, and those it had dropped.

    A limit is a sentence that forbids or confines. It is dropped if no sentence of the rewritten
    prompt has most of its words.
    """
    has = [stems(each.text) for each in pieces(text, _MOST_SENTENCES)]
    limits = [each.text.strip() for each in pieces(earlier, _MOST_SENTENCES)]
    dropped = [each for each in limits if _LIMIT.search(each) and not _said(stems(each), has)]
    return "\n\n".join([text, "\n".join(dropped)]) if dropped else text, dropped


def _said(sentence: set[str], others: list[set[str]]) -> bool:
    return any(len(sentence & each) >= _SAME * len(sentence) for each in others)
