"""The proposers by the names that SELFHEAL_PROPOSER accepts."""

from collections.abc import Mapping
from typing import Final

from selfheal.optimizer.proposers import gepa
from selfheal.optimizer.proposers.base import Proposer
from selfheal.optimizer.proposers.writer import PromptWriter
from selfheal.optimizer.settings import ProposerName

_PROPOSERS: Final[Mapping[ProposerName, Proposer]] = {
    "writer": PromptWriter(),
    "gepa": gepa.GepaProposer(),
}


def get_proposer(name: ProposerName) -> Proposer:
    """Return a proposer by its name."""
    return _PROPOSERS[name]
