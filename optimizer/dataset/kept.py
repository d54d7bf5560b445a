"""Candidates that an earlier healing kept, and the failures since then to try them on."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from selfheal.db import healings, runs
from selfheal.db.healings import Healing
from selfheal.db.pool import Connection
from selfheal.db.runs import Run
from selfheal.db.types import Agent
from selfheal.optimizer.dataset.cases import case_from_run
from selfheal.optimizer.dataset.split import deduplicate, digest, divided_into, similar_requests
from selfheal.optimizer.dataset.tenant_quota import apply_quota
from selfheal.optimizer.policy import collecting
from selfheal.optimizer.receipt.schema import NoReceiptError, receipt_of
from selfheal.optimizer.records.candidates import KeptCandidate
from selfheal.optimizer.records.cases import Case, Split

_AGENTS: Final[tuple[Agent, ...]] = ("worker", "manager")
_MOST_RUNS: Final = 200


async def kept_candidates(
    connection: Connection, live: Mapping[Agent, int]
) -> dict[Agent, KeptCandidate]:
    """Return the candidates that are kept for live versions, by agent."""
    found: dict[Agent, KeptCandidate] = {}
    for agent in _AGENTS:
        healing = await healings.newest_of_kept(connection, agent, live[agent])
        if healing and healing.outcome == "collecting" and (kept := _kept(healing)):
            found[agent] = kept
    return found


def _kept(healing: Healing) -> KeptCandidate | None:
    """Return the candidate that a healing kept; None if that is too long ago."""
    try:
        receipt = receipt_of(healing)
    except NoReceiptError:
        return None
    before, keeping = receipt.get("kept_candidate"), receipt.get("keeping") or []
    split, closed = receipt["split"], healing.closed_at
    if not keeping or split is None or closed is None:
        return None
    since = before["since"] if before else closed.isoformat()
    if collecting.is_expired(since, datetime.now(UTC)):
        return None
    last, gate = keeping[-1], receipt["gates"][-1]
    gains, losses = collecting.counted(gate, last["held_out"])
    candidate = next(each for each in receipt["candidates"] if each["ordinal"] == last["ordinal"])
    return KeptCandidate(
        healing_id=str(healing.id),
        ordinal=last["ordinal"],
        text=candidate["text"],
        since=since,
        tried_at=closed.isoformat(),
        run_ids=before["run_ids"] if before else receipt["failed_run_ids"],
        train=before["train"] if before else split["train"],
        held_out=last["held_out"],
        gains=gains,
        losses=losses,
    )


async def new_failures(
    connection: Connection, kept: KeptCandidate, live: Mapping[Agent, int]
) -> list[Run]:
    """Return the failed runs since a candidate was first kept, oldest first.

    Those that another healing has trained on since are left out: no training case is held out.
    """
    since = datetime.fromisoformat(kept["since"])
    found = await runs.failed_since(connection, live, since=since, limit=_MOST_RUNS)
    ids = [case_from_run(run)["id"] for run in found]
    trained = await healings.trained_cases(connection, ids)
    untrained = [run for run, case in zip(found, ids, strict=True) if case not in trained]
    return apply_quota(untrained, _MOST_RUNS)


async def own_runs(connection: Connection, kept: KeptCandidate) -> list[Run]:
    """Return the failed runs of the healing that first kept a candidate, oldest first."""
    return await runs.of_ids(connection, [UUID(each) for each in kept["run_ids"]])


async def is_due(connection: Connection, kept: KeptCandidate, live: Mapping[Agent, int]) -> bool:
    """Tell whether enough new cases have come in to prove a kept candidate."""
    found = await new_failures(connection, kept, live)
    last = datetime.fromisoformat(kept["tried_at"])
    recent = sum(run.finished_at is not None and run.finished_at > last for run in found)
    if not collecting.is_due(kept, len(found), recent):  # there are no more cases than runs
        return False
    own = await own_runs(connection, kept)
    _, held_out = await asyncio.to_thread(divide, kept, own, found)
    fresh = [each for each in held_out if each["id"] not in kept["held_out"]]
    return collecting.is_due(kept, len(fresh), recent)


def divide(
    kept: KeptCandidate, own: Sequence[Run], new: Sequence[Run]
) -> tuple[list[Case], list[Case]]:
    """Return the training cases of a kept candidate, and the production cases to prove it on.

    Nothing that is like a training case is proof.

    Args:
        kept: the candidate.
        own: the failed runs of the healing that first kept it.
        new: those since.
    """
    cases = deduplicate(map(case_from_run, own))
    train = [each for each in cases if each["id"] in kept["train"]]
    held_before = [each for each in cases if each["id"] in kept["held_out"]]
    fresh = [
        each
        for each in map(case_from_run, new)
        if not any(similar_requests(each, other) for other in train)
    ]
    return train, deduplicate([*held_before, *fresh])[: collecting.MOST_NEW]


def split_kept(
    train: list[Case],
    hold_out: list[Case],
    proof: Sequence[Case],
    *,
    pinned: Sequence[Case],
    looks: Mapping[str, int],
    order: str,
) -> Split:
    """Divide the cases of a kept candidate: held out are production cases alone.

    The golden cases did not prove it before. They are for regression: what a new kind of request
    needs must not cost the others.

    Args:
        train: its training cases.
        hold_out: the production cases to prove it on, in this order.
        proof: golden cases.
        pinned: cases that earlier healings healed.
        looks: how many earlier gates used a case, by its id.
        order: a seed for the order of the golden cases.
    """
    seen = [*train, *hold_out]
    healed = [
        each for each in deduplicate(pinned) if not any(similar_requests(each, s) for s in seen)
    ]
    golden = [
        each
        for each in sorted(proof, key=lambda case: digest(order + case["id"]))
        if not any(similar_requests(each, other) for other in seen)
    ]
    return divided_into(train, hold_out, [*healed, *golden], looks=looks, pinned=pinned)
