"""Manually approve or reject a candidate: one that is staged, or a canary that is held."""

from uuid import UUID

from selfheal.db import follow_ups, healings, prompts
from selfheal.db.errors import ReleaseConflictError
from selfheal.db.healings import Healing
from selfheal.db.pool import Connection
from selfheal.db.prompts import Terms
from selfheal.db.reasons import because, noted
from selfheal.db.types import Release
from selfheal.optimizer.settings import HealingSettings

_STAGED = "needs_approval"


def share(settings: HealingSettings, *, at_once: bool) -> int:
    """Return the percentage of the threads that an approved version is released to."""
    canary = settings.rollout == "canary" and not at_once
    return settings.canary_percent if canary else 100


class NothingToDecideError(Exception):
    """This healing has no candidate that waits for approval."""


async def approve(
    connection: Connection, healing_id: UUID, *, percent: int, actor: str, note: str = ""
) -> Release:
    """Release a candidate that waits for approval.

    Args:
        connection: where it is stored.
        healing_id: its healing.
        percent: the share of the threads; below 100 it is a canary. A canary that is held is
            promoted to all threads.
        actor: who approves.
        note: why.

    Raises:
        NothingToDecideError: it has none.
        ReleaseConflictError: another version went live since, and the proof is void.
        NotFoundError: there is no such healing.
    """
    healing, version = await _waiting(connection, healing_id)
    head = await prompts.head(connection, healing.agent)
    reason = because("approved", cause=noted(note))
    if _is_canary_of(head, healing):
        return await prompts.release(
            connection,
            healing.agent,
            version,
            after=head,
            action="promote",
            actor=actor,
            note=note,
            terms=Terms(healing_id=healing.id, reason=reason),
        )
    if head.version != healing.incumbent_version:
        raise ReleaseConflictError(
            f"the {healing.agent}'s version {head.version} went live since: the proof against"
            f" version {healing.incumbent_version} is void"
        )
    if healing.agent == "evaluator":
        percent = 100  # scores of two judges do not compare
    canary = percent < 100
    outcome: follow_ups.LaterOutcome = "canary" if canary else "promoted"
    await follow_ups.add(connection, healing.id, outcome, reason=reason, actor=actor)
    return await prompts.release(
        connection,
        healing.agent,
        version,
        after=head,
        action="canary" if canary else "heal",
        actor=actor,
        note=note,
        terms=Terms(percent, healing.id),
    )


async def reject(connection: Connection, healing_id: UUID, *, actor: str) -> Healing:
    """Reject a candidate. Its version stays in the list and is not live: a canary is rolled back.

    Returns:
        The healing as it is now.

    Raises:
        NothingToDecideError: there is none.
        NotFoundError: there is no such healing.
        ReleaseConflictError: the canary that was held has just ended.
    """
    healing, _ = await _waiting(connection, healing_id)
    head = await prompts.head(connection, healing.agent)
    reason = because("rejected")
    if _is_canary_of(head, healing):
        await prompts.rollback(connection, healing.agent, actor=actor, after=head, reason=reason)
    else:
        await follow_ups.add(connection, healing.id, "rejected", reason=reason, actor=actor)
    return await healings.get(connection, healing.id)


def _is_canary_of(head: Release, healing: Healing) -> bool:
    """Tell whether a healing's candidate is live as a canary, which was held."""
    return head.healing_id == healing.id and head.percent < 100


async def _waiting(connection: Connection, healing_id: UUID) -> tuple[Healing, int]:
    """Return a healing whose candidate waits for approval, and the candidate's version."""
    healing = await healings.get(connection, healing_id)
    if healing.outcome != _STAGED or healing.to_version is None:
        ended = healing.outcome or "it is in progress"
        raise NothingToDecideError(f"healing {healing_id} has nothing to decide: {ended}")
    return healing, healing.to_version
