"""The proposer that a deployment has chosen."""

from collections.abc import Mapping
from typing import Final

from selfheal.optimizer.proposers import gepa
from selfheal.optimizer.proposers.base import Proposer
from selfheal.optimizer.proposers.writer import Writer
from selfheal.optimizer.settings import ProposerName

_PROPOSERS: Final[Mapping[ProposerName, Proposer]] = {"writer": Writer(), "gepa": gepa.Gepa()}
# How to mend it where one cannot be used.
MENDS: Final[Mapping[ProposerName, str]] = {"gepa": gepa.MEND}


def chosen(name: ProposerName) -> Proposer:
    """Return a proposer by its name."""
    return _PROPOSERS[name]


def require(name: ProposerName) -> None:
    """Check that a proposer can be used, before a healing depends on it.

    Raises:
        SettingsError: what it needs is not installed.
    """
    if name == "gepa":
        gepa.require()
