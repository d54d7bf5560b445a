"""The record of a healing: what was seen, tried, decided and done, for a sceptic to recompute."""

import difflib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from db.healings import Healing
from db.trials import Trial
from optimizer.state import Case, State


def receipt(
    state: State, healing: Healing, trials: Sequence[Trial], *, outcome: str, reason: str
) -> dict[str, Any]:
    """Return the receipt as plain JSON."""
    ended = datetime.now(UTC)
    split = state.get("split")
    healed = [*split["train"], *split["hold_out"]] if split and outcome == "promoted" else []
    return {
        "healing_id": str(healing.id),
        "agent": healing.agent,
        "trigger": healing.trigger,
        "outcome": outcome,
        "reason": reason,
        "opened_at": healing.opened_at.isoformat(),
        "closed_at": ended.isoformat(),
        "seconds": round((ended - healing.opened_at).total_seconds(), 1),
        "from_version": healing.incumbent_version,
        "to_version": state.get("to_version"),
        "failed_run_ids": state["failed_run_ids"],
        "errors_counted_out": state["errors"],
        "judge": state.get("judge"),
        "findings": state.get("findings"),
        "split": _split(state),
        "healed_cases": [_healed(case) for case in healed if case["source"] == "production"],
        "candidates": [_candidate(each, state) for each in state["proposals"]],
        "gates": state["gates"],
        "trials": [_trial(trial) for trial in trials],
        "model_calls": healing.calls_used,
        "input_tokens": healing.input_tokens,
        "output_tokens": healing.output_tokens,
    }


def _split(state: State) -> dict[str, Any] | None:
    split = state.get("split")
    if not split:
        return None
    sides = ("train", "hold_out", "regression")
    ids = {side: [case["id"] for case in split[side]] for side in sides}  # type: ignore[literal-required]
    return {**ids, "fingerprint": split["fingerprint"], "looks": split["looks"]}


def _healed(case: Case) -> dict[str, Any]:
    return {"id": case["id"], "request": case["request"], "examples": case["examples"]}


def _candidate(proposal: Any, state: State) -> dict[str, Any]:
    diff = difflib.unified_diff(
        state["incumbent"]["text"].splitlines(),
        proposal["text"].splitlines(),
        f"{state['agent']} {state['incumbent']['version']}",
        f"candidate {proposal['ordinal']}",
        lineterm="",
    )
    return {**proposal, "diff": "\n".join(diff)}


def _trial(trial: Trial) -> dict[str, Any]:
    row = asdict(trial)
    return {name: row[name] for name in row if name not in ("healing_id", "created_at")}


def as_markdown(record: dict[str, Any]) -> str:
    """Tell a receipt as a story, from what failed to what was done."""
    tokens = record["input_tokens"] + record["output_tokens"]
    errors = record["errors_counted_out"]
    lines = [
        f"# Healing of the {record['agent']}: {record['outcome']}",
        "",
        record["reason"],
        "",
        f"- healing `{record['healing_id']}`, {record['trigger']}, {record['opened_at'][:19]} UTC",
        f"- {record['seconds']} s, {record['model_calls']} model calls, {tokens} tokens",
        f"- version {record['from_version']} → {record['to_version'] or 'unchanged'}",
        f"- {len(record['failed_run_ids'])} failed runs, and {errors} errors that no prompt mends",
        *_told_judge(record),
        *_told_findings(record),
        *_told_split(record),
    ]
    for each in record["candidates"]:
        lines += _told_candidate(each)
    for gate in record["gates"]:
        lines += _told_gate(gate)
    return "\n".join(lines) + "\n"


def _told_judge(record: dict[str, Any]) -> list[str]:
    judge = record["judge"]
    if not judge:
        return []
    usual = f", {judge['usual'][0]} of {judge['usual'][1]} before" if judge["usual"] else ""
    verdict = "it has drifted" if judge["drifted"] else "it is well"
    who = f"the judge, {judge['model']} under prompt {judge['prompt_version']}"
    counted = f"{judge['agreed']} of {judge['asked']} golden verdicts"
    return [f"- {who}, agrees on {counted}{usual}: {verdict}"]


def _told_findings(record: dict[str, Any]) -> list[str]:
    findings = record["findings"]
    if not findings:
        return []
    return [
        "",
        "## Diagnosis",
        "",
        *(
            f"- {each['description']} ({len(each['run_ids'])} runs)"
            for each in findings["patterns"]
        ),
        "",
        f"Root causes (blamed: the {findings['blame']}):",
        "",
        *(f"- {each}" for each in findings["root_causes"]),
    ]


def _told_split(record: dict[str, Any]) -> list[str]:
    split = record["split"]
    if not split:
        return []
    sides = (("train", "train"), ("hold-out", "hold_out"), ("regression", "regression"))
    counted = ", ".join(f"{len(split[key])} {name}" for name, key in sides)
    return ["", "## Cases", "", f"{counted}; fingerprint `{split['fingerprint']}`."]


def _told_candidate(each: dict[str, Any]) -> list[str]:
    origin = "the last good version" if each["origin"] == "last_good" else "written"
    fate = {"accepted": "accepted", "": "not tried"}.get(
        each["fate"], f"fell at the {each['fate']}"
    )
    mark = "````"
    return [
        "",
        f"## Candidate {each['ordinal']} ({origin}, round {each['round']}): {fate}",
        "",
        each["reason"],
        "",
        f"{mark}diff",
        each["diff"].replace(mark, "'" * 4),
        mark,
    ]


def _told_gate(gate: dict[str, Any]) -> list[str]:
    counted = f"{gate['pairs']} pairs: {gate['gains']} gains, {gate['losses']} losses"
    rates = f"incumbent {gate['incumbent_rate']:.0%}, candidate {gate['candidate_rate']:.0%}"
    lower = "unknown" if gate["lower"] is None else f"{gate['lower']:+.3f}"
    return [
        "",
        f"## Gate of candidate {gate['ordinal']}: {gate['verdict']}",
        "",
        f"{counted}; e-value {gate['e_value']:g}, accepted at 100.",
        f"Passed: {rates}.",
        f"Score difference {gate['difference']:+.3f}, 95 % lower bound {lower} (above -0.10).",
    ]
