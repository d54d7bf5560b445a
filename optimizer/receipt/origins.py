"""What a healing began with, made again: rows, judge, blame, split, costs. See recompute.py.

Each function yields what is looked at, what is on record, and what it is when it is made again.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from selfheal.db.types import Trial
from selfheal.optimizer.dataset.golden_verdicts import (
    Agreement,
    Opinion,
    agreement,
    golden_verdicts,
)
from selfheal.optimizer.dataset.split import fingerprint_of_ids
from selfheal.optimizer.evaluation import judge_drift
from selfheal.optimizer.evaluation.trials import is_evidence
from selfheal.optimizer.policy import attribution
from selfheal.optimizer.receipt.build import listed
from selfheal.optimizer.receipt.stored import Stored

Record = dict[str, Any]
Found = Iterator[tuple[str, Any, Any]]


def rows(record: Record, stored: Stored) -> Found:
    """Compare the receipt's copies with the rows that they were taken from."""
    copied, kept = record["trials"], [listed(trial) for trial in stored.trials]
    yield (
        "trials: as they are listed",
        [each for each in copied if each not in kept],
        [each for each in kept if each not in copied],
    )
    if record["incumbent"]:
        incumbent = record["incumbent"]
        began = (stored.healing.incumbent_version, stored.incumbent)
        yield "incumbent: its text", (incumbent["version"], incumbent["text"]), began


def judge(record: Record, stored: Stored) -> Found:
    """Ask again what the opinions of the judge come to, and whether it has drifted."""
    found = record["judge"]
    if not found:
        return
    said = {"model": found["model"], "prompt_version": found["prompt_version"]}
    counted = {"asked": found["asked"], "agreed": found["agreed"]}
    check = asdict(stored.check) if stored.check else {}
    known = {**said, **counted, "drifted": found["drifted"] or found["low"]}
    yield "judge: its check", known, {name: check.get(name) for name in known}
    if opinions := found["opinions"]:
        golden = {each.id: each for each in golden_verdicts()}
        summed = agreement([Opinion(golden[each], score) for each, score in opinions.items()])
        yield "judge: agreement", counted, {"asked": summed.asked, "agreed": summed.agreed}
    now = judge_drift.assess(
        Agreement(found["asked"], found["agreed"], unanswered=0, bias=0.0),
        found["compared"],
        model=found["model"],
        version=found["prompt_version"],
        fresh=found["fresh"],
    ).as_json()
    names = ("usual", "drifted", "low", "sound_version")
    yield (
        "judge: verdict",
        {name: found[name] for name in names},
        {name: now[name] for name in names},
    )


def blamed(record: Record, stored: Stored) -> Found:
    """Ask again whose prompt it is; nothing, where that was asked for or never got so far."""
    findings = record["findings"] or {}
    if not (because := findings.get("because")):
        return
    seen = attribution.Evidence(**because["evidence"])
    tried = {agent: _passed(stored.trials, attribution.ARMS[agent]) for agent in seen.reverted}
    yield "blame: what was tried", seen.reverted, tried
    yield "blame: the judge", seen.judge_low, record["judge"]["low"]
    if record["agent"] != "evaluator":  # else the diagnosis is of marked programs by now
        shown = record["evidence"] if record["failed_run_ids"] else []
        yield "blame: what the runs show", (seen.judged, seen.plans), attribution.observed(shown)
    yield "blame: enough was tried", None, attribution.next_test(seen)
    now = attribution.decide(seen)
    yield "blame: its agent", (findings["blame"], because["reason"]), (now.agent, now.reason)


def _passed(trials: Any, arm: int) -> attribution.Count:
    known = [each for each in trials if (each.stage, each.arm) == ("blame", arm)]
    verdicts: list[Trial] = [each for each in known if is_evidence(each)]
    return sum(each.passed for each in verdicts), len(verdicts)


def split(record: Record, stored: Stored) -> Found:
    """Take the fingerprint again, and see that no case was on two sides, or tried on the wrong."""
    divided = record["split"]
    if not divided:
        return
    sides = [divided[side] for side in ("train", "hold_out", "regression")]
    yield "split: fingerprint", divided["fingerprint"], fingerprint_of_ids(*sides)
    everybody = [each for side in sides for each in set(side)]
    twice = sorted({each for each in everybody if everybody.count(each) > 1})
    yield "split: cases on two sides", [], twice
    train, proof = set(sides[0]), {*sides[1], *sides[2]}
    astray = [
        f"{each.stage} {each.case_id}"
        for each in stored.trials
        if (each.stage == "screen" and each.case_id not in train)
        or (each.stage == "gate" and each.case_id not in proof)
        or (each.stage == "blame" and each.case_id in proof)
    ]
    yield "split: trials on a side that they may not see", [], astray


def costs(record: Record, stored: Stored) -> Found:
    """Add up again what was paid."""
    paid = stored.costs
    yield "cost: by state", record["costs"], [asdict(each) for each in paid]
    for name, total in (
        ("model_calls", sum(each.calls for each in paid)),
        ("input_tokens", sum(each.input_tokens for each in paid)),
        ("output_tokens", sum(each.output_tokens for each in paid)),
    ):
        yield f"cost: {name.replace('_', ' ')}", record[name], total
    by_state = {each.state: each.calls for each in paid}
    beyond = [
        stage
        for stage in ("blame", "screen", "gate")
        if sum(each.calls for each in stored.trials if each.stage == stage) > by_state.get(stage, 0)
    ]
    yield "cost: stages whose trials were not paid for", [], beyond
