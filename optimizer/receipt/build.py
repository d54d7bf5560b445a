"""Building a receipt from what a healing's states found and what is stored of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from selfheal.db.healings import Cost, Healing
from selfheal.db.types import Agent, Trial
from selfheal.optimizer.outcomes import Ending
from selfheal.optimizer.policy.slices import slice_of
from selfheal.optimizer.receipt.schema import (
    CandidateRecord,
    CostRecord,
    HealedCase,
    JudgeRecord,
    Receipt,
    SplitRecord,
    TrialRecord,
)
from selfheal.optimizer.records.cases import Case, Version
from selfheal.optimizer.state import State, is_shortening
from selfheal.optimizer.text.diffs import unified_diff


def receipt(
    state: State,
    healing: Healing,
    trials: Sequence[Trial],
    costs: Sequence[Cost],
    ended: Ending,
    *,
    gave_up: bool = False,
) -> Receipt:
    """Return the receipt of a healing that is being closed.

    Args:
        state: what the states of the healing found.
        healing: its row.
        trials: all that was tried.
        costs: what each state has cost.
        ended: how it ends.
        gave_up: an error or the budget ended it; the reason says which.
    """
    closed = datetime.now(UTC)
    return Receipt(
        schema_version=1,
        selfheal=version("selfheal"),
        healing_id=str(healing.id),
        agent=healing.agent,
        trigger=healing.trigger,
        asked_about=state.get("asked_about"),
        outcome=ended.outcome,
        reason=ended.reason,
        gave_up=gave_up,
        opened_at=healing.opened_at.isoformat(),
        closed_at=closed.isoformat(),
        seconds=round((closed - healing.opened_at).total_seconds(), 1),
        from_version=healing.incumbent_version,
        to_version=state.get("to_version"),
        incumbent=state.get("incumbent"),
        anchor=state.get("anchor"),
        detection=state.get("detection"),
        failed_run_ids=state["failed_run_ids"],
        errors_counted_out=state["errors"],
        newest_error=state.get("newest_error"),
        failures=state.get("failures", []),
        judge=_judge(state),
        evidence=state.get("evidence", []),
        evidence_tenants=state.get("evidence_tenants", []),
        findings=state.get("findings"),
        split=_split(state),
        healed_cases=_healed_cases(state),
        rounds=state.get("round", 0),
        candidates=_candidates(state),
        screens=state.get("screens", []),
        edit_tests=state.get("edit_tests", []),
        gates=state["gates"],
        cut_short=state.get("cut_short"),
        kept_candidate=state.get("kept_candidate"),
        keeping=state.get("keeping", []),
        release=state.get("planned"),
        unjudged=state.get("unjudged"),
        trials=[trial_record(trial) for trial in trials],
        costs=[cost_record(cost) for cost in costs],
        model_calls=healing.calls_used,
        input_tokens=healing.input_tokens,
        output_tokens=healing.output_tokens,
    )


def candidate_diff(agent: Agent, incumbent: Version, ordinal: int, text: str) -> str:
    """Return what a candidate changes in the incumbent, as a unified diff."""
    label = f"{agent} {incumbent['version']}"
    return unified_diff(incumbent["text"], text, label, f"candidate {ordinal}")


def trial_record(trial: Trial) -> TrialRecord:
    """Return a trial as a receipt lists it."""
    return TrialRecord(
        stage=trial.stage,
        arm=trial.arm,
        case_id=trial.case_id,
        outcome=trial.outcome,
        passed=trial.passed,
        score=trial.score,
        executed=trial.executed,
        calls=trial.calls,
        take=trial.take,
        tokens=trial.tokens,
    )


def cost_record(cost: Cost) -> CostRecord:
    """Return the cost of a state as a receipt lists it."""
    return CostRecord(
        state=cost.state,
        payments=cost.payments,
        calls=cost.calls,
        input_tokens=cost.input_tokens,
        output_tokens=cost.output_tokens,
    )


def _judge(state: State) -> JudgeRecord | None:
    judge = state.get("judge")
    return {**judge, "opinions": state.get("opinions", {})} if judge else None


def _split(state: State) -> SplitRecord | None:
    split = state.get("split")
    if not split:
        return None
    return SplitRecord(
        train=_ids(split["train"]),
        hold_out=_ids(split["hold_out"]),
        regression=_ids(split["regression"]),
        fingerprint=split["fingerprint"],
        looks=split["looks"],
        pinned=split["pinned"],
        slices={case["id"]: slice_of(case) for case in (*split["hold_out"], *split["regression"])},
        aside=_ids(split.get("aside", [])),
    )


def _ids(cases: Sequence[Case]) -> list[str]:
    return [case["id"] for case in cases]


def _healed_cases(state: State) -> list[HealedCase]:
    """Return the production cases of a candidate that is released, or staged.

    A canary may not be promoted: whether these count as healed depends on the healing's row.
    """
    split = state.get("split")
    if not split or state.get("to_version") is None or is_shortening(state.get("trigger")):
        return []
    return [
        HealedCase(id=case["id"], request=case["request"], examples=case["examples"])
        for case in (*split["train"], *split["hold_out"])
        if case["source"] == "production"
    ]


def _candidates(state: State) -> list[CandidateRecord]:
    found: list[CandidateRecord] = []
    for each in state["proposals"]:
        diff = candidate_diff(state["agent"], state["incumbent"], each["ordinal"], each["text"])
        found.append({**each, "diff": diff})
    return found
