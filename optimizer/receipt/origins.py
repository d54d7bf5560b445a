"""Verification of what a healing started with: rows, judge, attribution, split, costs."""

from collections.abc import Iterator, Sequence

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
from selfheal.optimizer.receipt.build import cost_record, trial_record
from selfheal.optimizer.receipt.schema import Receipt
from selfheal.optimizer.receipt.stored import Compared, Stored
from selfheal.optimizer.state import Count


def rows(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Compare the receipt's copies with the rows that they were taken from."""
    copied, kept = receipt["trials"], [trial_record(trial) for trial in stored.trials]
    yield Compared(
        "trials: list",
        [each for each in copied if each not in kept],
        [each for each in kept if each not in copied],
    )
    if incumbent := receipt["incumbent"]:
        yield Compared(
            "incumbent: text",
            (incumbent["version"], incumbent["text"]),
            (stored.healing.incumbent_version, stored.incumbent),
        )


def judge(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Recompute what the judge's opinions come to, and whether it has drifted."""
    found = receipt["judge"]
    if not found:
        return
    counted = (found["asked"], found["agreed"])
    check = stored.check
    yield Compared(
        "judge: stored check",
        (found["model"], found["prompt_version"], *counted, found["drifted"] or found["low"]),
        check and (check.model, check.prompt_version, check.asked, check.agreed, check.drifted),
    )
    if opinions := found["opinions"]:
        golden = {each.id: each for each in golden_verdicts()}
        summed = agreement([Opinion(golden[each], score) for each, score in opinions.items()])
        yield Compared("judge: agreement", counted, (summed.asked, summed.agreed))
    now = judge_drift.assess(
        Agreement(found["asked"], found["agreed"], unanswered=0, bias=0.0),
        found["compared"],
        model=found["model"],
        version=found["prompt_version"],
        fresh=found["fresh"],
    )
    yield Compared(
        "judge: verdict",
        (found["usual"], found["drifted"], found["low"], found["sound_version"]),
        (now.usual, now.drifted, now.low, now.sound_version),
    )


def attributed(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Decide again whose prompt it is; nothing, where that was requested or was not reached."""
    findings = receipt["findings"]
    judge = receipt["judge"]
    if not findings or "attribution" not in findings or not judge:
        return
    recorded = findings["attribution"]
    evidence = recorded["evidence"]
    tried = {
        agent: _passed(stored.trials, attribution.ARMS[agent]) for agent in evidence["reverted"]
    }
    yield Compared("attribution: trials", evidence["reverted"], tried)
    yield Compared("attribution: judge", evidence["judge_low"], judge["low"])
    if receipt["agent"] != "evaluator":  # else the diagnosis is of marked programs by now
        shown = receipt["evidence"] if receipt["failed_run_ids"] else []
        yield Compared(
            "attribution: evidence of the runs",
            (evidence["judged"], evidence["plans"]),
            attribution.observed(shown),
        )
    yield Compared("attribution: sufficient trials", None, attribution.next_test(evidence))
    now = attribution.decide(evidence)
    yield Compared(
        "attribution: agent",
        (findings["blame"], recorded["reason"]),
        (now.agent, now.reason),
    )


def _passed(trials: Sequence[Trial], arm: int) -> Count:
    known = [each for each in trials if (each.stage, each.arm) == ("blame", arm)]
    verdicts = [each for each in known if is_evidence(each)]
    return sum(each.passed for each in verdicts), len(verdicts)


def split(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Recompute the fingerprint, and look for cases in two sets or tried in the wrong one."""
    divided = receipt["split"]
    if not divided:
        return
    sides = [divided["train"], divided["hold_out"], divided["regression"]]
    yield Compared("split: fingerprint", divided["fingerprint"], fingerprint_of_ids(*sides))
    ids = [each for side in sides for each in set(side)]
    twice = sorted({each for each in ids if ids.count(each) > 1})
    yield Compared("split: cases in two sets", [], twice)
    train, proof = set(sides[0]), {*sides[1], *sides[2]}
    astray = [
        f"{each.stage} {each.case_id}"
        for each in stored.trials
        if (each.stage in ("screen", "edits") and each.case_id not in train)
        or (each.stage == "gate" and each.case_id not in proof)
        or (each.stage == "blame" and each.case_id in proof)
    ]
    yield Compared("split: trials on cases of another set", [], astray)


def costs(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Add up again what was paid."""
    paid = stored.costs
    yield Compared("cost: by state", receipt["costs"], [cost_record(each) for each in paid])
    calls = sum(each.calls for each in paid)
    yield Compared("cost: model calls", receipt["model_calls"], calls)
    tokens = sum(each.input_tokens for each in paid)
    yield Compared("cost: input tokens", receipt["input_tokens"], tokens)
    tokens = sum(each.output_tokens for each in paid)
    yield Compared("cost: output tokens", receipt["output_tokens"], tokens)
    by_state = {each.state: each.calls for each in paid}
    beyond = [
        stage
        for stage in ("blame", "screen", "edits", "gate")
        if sum(each.calls for each in stored.trials if each.stage == stage) > by_state.get(stage, 0)
    ]
    yield Compared("cost: stages with unpaid trials", [], beyond)
