"""Releasing a proven candidate, by compare-and-swap."""

from selfheal.db import healings, prompts
from selfheal.db.errors import ReleaseConflictError
from selfheal.db.healings import Hold
from selfheal.db.pool import Connection
from selfheal.db.prompts import Terms
from selfheal.db.reasons import Reason, because
from selfheal.db.types import Release
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.policy.rollout_plan import Plan
from selfheal.optimizer.records.candidates import Proposal
from selfheal.optimizer.state import State


class SupersededError(Exception):
    """The incumbent is no longer live, or the healing is no longer ours: the proof is void.

    Attributes:
        reason: which of both.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason["code"])
        self.reason = reason


async def carry_out(
    context: OptimizerContext, state: State, winner: Proposal, planned: Plan
) -> int:
    """Store the candidate as a version and, if planned so, make it live: all or nothing.

    Repeated after the process was killed, it finds what was done and changes nothing.

    Returns:
        The version that the candidate has become.

    Raises:
        SupersededError: another version went live meanwhile, or another process has the healing.
    """
    hold = context.hold(state["healing_id"])
    agent, incumbent = state["agent"], state["incumbent"]["version"]
    note = f"healing {hold.id}"

    async def release(connection: Connection) -> int:
        if not await healings.holds(connection, hold):
            raise SupersededError(because("lease_lost"))
        healing = await healings.get(connection, hold.id)
        if healing.to_version is not None:
            return healing.to_version
        head = await prompts.head(connection, agent)
        if head.version != incumbent:
            raise SupersededError(because("version_went_live", version=head.version))
        version = winner["version"]
        if version is None:
            added = await prompts.add(
                connection, agent, winner["text"], author="optimizer", parent=incumbent, note=note
            )
            version = added.version
        if planned.action != "stage":
            percent = context.settings.canary_percent if planned.action == "canary" else 100
            await _make_live(connection, head, version, percent, hold)
        await healings.release_to(connection, hold, version)
        return version

    return await context.database.run(release)


async def _make_live(
    connection: Connection, head: Release, version: int, percent: int, hold: Hold
) -> None:
    try:
        await prompts.release(
            connection,
            head.agent,
            version,
            after=head,
            action="canary" if percent < 100 else "heal",
            actor="optimizer",
            note=f"healing {hold.id}",
            terms=Terms(percent, hold.id),
        )
    except ReleaseConflictError as error:
        raise SupersededError(because("version_went_live", version=None)) from error
