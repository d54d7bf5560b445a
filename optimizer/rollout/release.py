"""Releasing a proven candidate: what to do is decided purely, and done by compare-and-swap."""

from dataclasses import dataclass
from typing import Literal

from selfheal.db import healings, prompts
from selfheal.db.errors import ReleaseConflictError
from selfheal.db.healings import Hold
from selfheal.db.pool import Connection
from selfheal.db.prompts import Release, Terms
from selfheal.db.types import Agent
from selfheal.optimizer.context import Doctor
from selfheal.optimizer.policy.superiority import DEAD_RATE
from selfheal.optimizer.state import Proposal, State

Action = Literal["release", "canary", "stage"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of a proven candidate, and why."""

    action: Action
    reason: str


@dataclass(frozen=True, slots=True)
class Released:
    """The version that the candidate has become."""

    version: int


class SupersededError(Exception):
    """The incumbent is no longer live, or the healing is no longer ours: the proof is void."""


def plan(rollout: str, agent: Agent, verdict: str, incumbent_rate: float) -> Plan:
    """Decide what becomes of a candidate that the gate did not reject.

    Args:
        rollout: `instant`, `canary` or `manual`.
        agent: whose prompt it is. A judge has no canary: scores of two judges do not compare.
        verdict: the gate's: `accepted`, or `undecided`, which is never released by itself.
        incumbent_rate: the share of its gate cases that the incumbent passed.
    """
    if verdict != "accepted":
        return Plan("stage", "the evidence does not suffice: it waits for a person")
    if rollout == "manual":
        return Plan("stage", "proven; it waits for a person, since SELFHEAL_ROLLOUT is manual")
    if rollout == "instant" or agent == "evaluator":
        return Plan("release", "released at once")
    if incumbent_rate <= DEAD_RATE:
        return Plan("release", "released at once: the incumbent had nothing to lose")
    return Plan("canary", f"proven; tried beside the incumbent, which passes {incumbent_rate:.0%}")


async def carry_out(doctor: Doctor, state: State, winner: Proposal, planned: Plan) -> Released:
    """Store the candidate as a version and, if planned so, make it live: all or nothing.

    Done again after a kill, it finds what was done and changes nothing.

    Raises:
        SupersededError: another version went live meanwhile, or another process has the healing.
    """
    hold = doctor.hold(state["healing_id"])
    agent, incumbent = state["agent"], state["incumbent"]["version"]
    note = f"healing {hold.id}"

    async def release(connection: Connection) -> Released:
        if not await healings.holds(connection, hold):
            raise SupersededError("another process has taken over this healing")
        healing = await healings.get(connection, hold.id)
        if healing.to_version is not None:
            return Released(healing.to_version)
        head = await prompts.head(connection, agent)
        if head.version != incumbent:
            raise SupersededError(f"version {head.version} went live meanwhile")
        version = winner["version"]
        if version is None:
            added = await prompts.add(
                connection, agent, winner["text"], author="optimizer", parent=incumbent, note=note
            )
            version = added.version
        if planned.action != "stage":
            await _make_live(connection, doctor, head, version, planned, hold)
        await healings.release_to(connection, hold, version)
        return Released(version)

    return await doctor.database.run(release)


async def _make_live(
    connection: Connection, doctor: Doctor, head: Release, version: int, planned: Plan, hold: Hold
) -> None:
    share = doctor.rules.canary_percent if planned.action == "canary" else 100
    try:
        await prompts.release(
            connection,
            head.agent,
            version,
            after=head,
            action="canary" if share < 100 else "heal",
            actor="optimizer",
            note=f"healing {hold.id}",
            terms=Terms(share, hold.id),
        )
    except ReleaseConflictError as error:
        raise SupersededError("another version went live meanwhile") from error
