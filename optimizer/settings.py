"""Settings of healing."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final, Literal

from pydantic import Field

from selfheal.app.settings import ModelSettings, ServiceSettings
from selfheal.db.settings import SettingsError
from selfheal.optimizer.statistics import FIRST_CASES, MOST_CASES

ProposerName = Literal["writer", "gepa"]
# The command that installs what a proposer needs.
INSTALL_HINTS: Final[Mapping[ProposerName, str]] = {"gepa": "pip install 'selfheal[gepa]'"}


class HealingSettings(ServiceSettings, ModelSettings):
    """What the optimizer takes: its own settings and those that it builds on."""

    proposer: ProposerName = Field(
        "writer", description="the proposer of candidates; `gepa` needs `selfheal[gepa]`"
    )
    failure_threshold: int = Field(
        3, ge=1, le=10_000, description="least number of failed runs that start a healing"
    )
    failure_window_minutes: int = Field(
        30,
        ge=1,
        le=525_600,
        description="minutes within which that many failures suffice where no run has passed",
    )
    optimize_every_seconds: int = Field(
        600,
        ge=0,
        le=604_800,
        description="seconds between two scheduled optimizer passes; 0 is never",
    )
    rollout: Literal["canary", "instant", "manual"] = Field(
        "canary",
        description="how a proven prompt is released: to a share of the threads first, to all at"
        " once, or when it is approved",
    )
    canary_percent: int = Field(
        50, ge=1, le=99, description="the percentage of threads that get a canary"
    )
    gate_cases: int = Field(
        MOST_CASES,
        ge=FIRST_CASES,
        le=MOST_CASES,
        description="maximum held-out cases of a gate; beyond 60 only if a candidate is promising",
    )
    heal_budget_calls: int = Field(
        1200, ge=1, le=1_000_000, description="maximum model calls of one healing"
    )
    heal_daily_calls: int = Field(
        4000, ge=1, le=10_000_000, description="maximum model calls of all healings in a day"
    )
    heal_concurrency: int = Field(
        4,
        ge=1,
        le=100,
        description="cases that a healing runs at once; a gate runs both prompts of each",
    )


def require_proposer(name: ProposerName) -> None:
    """Check that a proposer can be used, before a healing depends on it.

    Raises:
        SettingsError: a package that it needs is not installed.
    """
    if name not in INSTALL_HINTS:
        return
    try:
        import_module(name)
    except ImportError as error:
        message = f"SELFHEAL_PROPOSER: {name} is not installed: {INSTALL_HINTS[name]}"
        raise SettingsError(message) from error
