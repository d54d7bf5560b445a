"""The record of a healing: what was seen, tried, decided and done, for a sceptic to recompute."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from selfheal.db.healings import Cost, Healing
from selfheal.db.types import Trial
from selfheal.optimizer.state import Case, Proposal, State, on_diet
from selfheal.optimizer.text.diffs import unified_diff


def receipt(
    state: State,
    healing: Healing,
    trials: Sequence[Trial],
    costs: Sequence[Cost],
    *,
    outcome: str,
    reason: str,
    gave_up: bool = False,
) -> dict[str, Any]:
    """Return the receipt as plain JSON.

    Args:
        state: what the states of the healing found.
        healing: its row.
        trials: all that was tried.
        costs: what each state has cost.
        outcome: how it ends.
        reason: why.
        gave_up: a fault ended it, or the budget did; the reason says which.
    """
    ended = datetime.now(UTC)
    split = state.get("split")
    # A canary is promoted later, or not: what is healed by then is asked of its row.
    heals = state.get("to_version") is not None and not on_diet(state)
    healed = [*split["train"], *split["hold_out"]] if split and heals else []
    return {
        "healing_id": str(healing.id),
        "selfheal": version("selfheal"),
        "agent": healing.agent,
        "trigger": healing.trigger,
        "asked_about": state.get("asked_about"),
        "outcome": outcome,
        "reason": reason,
        "gave_up": gave_up,
        "opened_at": healing.opened_at.isoformat(),
        "closed_at": ended.isoformat(),
        "seconds": round((ended - healing.opened_at).total_seconds(), 1),
        "from_version": healing.incumbent_version,
        "to_version": state.get("to_version"),
        "incumbent": state.get("incumbent"),
        "anchor": state.get("anchor"),
        "failed_run_ids": state["failed_run_ids"],
        "errors_counted_out": state["errors"],
        "newest_error": state.get("newest_error"),
        "judge": _judge(state),
        "evidence": state.get("evidence", []),
        "findings": state.get("findings"),
        "split": _split(state),
        "healed_cases": [_healed(case) for case in healed if case["source"] == "production"],
        "rounds": state.get("round", 0),
        "candidates": [_candidate(each, state) for each in state["proposals"]],
        "screens": state.get("screens", []),
        "gates": state["gates"],
        "release": state.get("planned"),
        "unjudged": state.get("unjudged"),
        "trials": [listed(trial) for trial in trials],
        "costs": [asdict(cost) for cost in costs],
        "model_calls": healing.calls_used,
        "input_tokens": healing.input_tokens,
        "output_tokens": healing.output_tokens,
    }


def difference(record: Mapping[str, Any], ordinal: int, text: str) -> str:
    """Return what a candidate changes in the incumbent of a receipt, as a unified diff."""
    return _diff(record["agent"], record["incumbent"], ordinal, text)


def listed(trial: Trial) -> dict[str, Any]:
    """Return a trial as a receipt lists it."""
    row = asdict(trial)
    return {name: row[name] for name in row if name not in ("healing_id", "created_at")}


def _judge(state: State) -> dict[str, Any] | None:
    judge = state.get("judge")
    return {**judge, "opinions": state.get("opinions", {})} if judge else None


def _split(state: State) -> dict[str, Any] | None:
    split = state.get("split")
    if not split:
        return None
    sides = ("train", "hold_out", "regression")
    ids = {side: [case["id"] for case in split[side]] for side in sides}  # type: ignore[literal-required]
    others = {name: split[name] for name in ("fingerprint", "looks", "pinned")}
    return {**ids, **others}


def _healed(case: Case) -> dict[str, Any]:
    return {"id": case["id"], "request": case["request"], "examples": case["examples"]}


def _candidate(proposal: Proposal, state: State) -> dict[str, Any]:
    diff = _diff(state["agent"], state["incumbent"], proposal["ordinal"], proposal["text"])
    return {**proposal, "diff": diff}


def _diff(agent: str, incumbent: Mapping[str, Any], ordinal: int, text: str) -> str:
    label = f"{agent} {incumbent['version']}"
    return unified_diff(incumbent["text"], text, label, f"candidate {ordinal}")
