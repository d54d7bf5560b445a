"""blame: whose prompt it is, decided by what was seen and by what is tried now."""

import asyncio
from typing import Any

from langgraph.runtime import Runtime

from selfheal.app.aio import gather_all
from selfheal.db import healings
from selfheal.db.types import Agent
from selfheal.optimizer.context import Doctor, Given, admit, doctor_of
from selfheal.optimizer.evaluation.trials import Ledger
from selfheal.optimizer.policy import attribution as rules
from selfheal.optimizer.policy.attribution import ARMS, MOST_CASES, Count, Evidence
from selfheal.optimizer.state import Case, Findings, State


async def blame(state: State, runtime: Runtime[Given]) -> dict[str, Any]:
    """Try the suspects' last good versions on train cases as far as needed, and decide."""
    doctor = doctor_of(runtime)
    async with doctor.database.connection() as connection:
        await healings.enter(connection, doctor.hold(state["healing_id"]), "blame")
    evidence = await asyncio.to_thread(_observed, state)  # it parses what runs were asked for
    while suspect := rules.next_test(evidence):
        evidence = evidence.having(suspect, await _reverted(doctor, state, suspect))
    decided = rules.decide(evidence)
    because = {"reason": decided.reason, "evidence": evidence.as_json()}
    findings = Findings(**{**state["findings"], "blame": decided.agent, "because": because})
    admitted = await admit(doctor, state["healing_id"], state, decided.agent)
    return {**admitted, "findings": findings}


def _observed(state: State) -> Evidence:
    """Collect what is known without trying anything; of a forced pass, runs prove nothing."""
    rows = state["evidence"] if state["failed_run_ids"] else []
    judged, plans = rules.observed(rows)
    return Evidence(
        diagnosed=state["findings"]["blame"],
        judge_low=state["judge"]["low"],
        judged=judged,
        plans=plans,
        revertible=tuple(sorted(state["last_goods"])),
        rejected=tuple(state["tried"]),
    )


async def _reverted(doctor: Doctor, state: State, agent: Agent) -> Count:
    """Return how many train cases pass with an agent's last good version, of how many."""
    arm, good = ARMS[agent], state["last_goods"][agent]
    texts, versions = {arm: good["text"]}, {arm: good["version"]}
    ledger = await Ledger.read(doctor, state["healing_id"], agent, texts, versions)
    places = asyncio.Semaphore(doctor.rules.concurrency)

    async def one(case: Case) -> bool | None:
        async with places:
            trial = await ledger.trial("blame", arm, case)
        return trial.passed if trial else None

    tried = await gather_all(*(one(case) for case in state["split"]["train"][:MOST_CASES]))
    known = [each for each in tried if each is not None]
    return sum(known), len(known)
