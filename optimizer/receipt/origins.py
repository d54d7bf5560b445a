"""Verification of what a healing started with: rows, detection, judge, blame, split, costs."""

from collections.abc import Iterator, Sequence
from typing import Final

from selfheal.db.types import Trial
from selfheal.optimizer.dataset.golden_verdicts import (
    Opinion,
    golden_verdicts,
)
from selfheal.optimizer.dataset.split import fingerprint_of_ids
from selfheal.optimizer.evaluation import judge_drift
from selfheal.optimizer.evaluation.trials import is_evidence
from selfheal.optimizer.policy import attribution
from selfheal.optimizer.policy.detection import assess, assess_surge, failures_to_read
from selfheal.optimizer.policy.failure_causes import cause_counts, decided_by_marks
from selfheal.optimizer.policy.judge_drift import (
    ANCHOR_CHECKS,
    PARTS,
    Consequence,
    after_part,
    consequence,
    pooled,
    raises_flag,
    total,
)
from selfheal.optimizer.receipt.build import cost_record, trial_record
from selfheal.optimizer.receipt.schema import Receipt
from selfheal.optimizer.receipt.stored import Compared, Stored
from selfheal.optimizer.records.cases import Count
from selfheal.optimizer.records.judge import JudgeFinding, SoundCheck
from selfheal.optimizer.state import is_shortening


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


def failures(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Recompute what rules see of the failed runs, of those that are still in the log."""
    kept = {each["run_id"] for each in stored.failures}
    recorded = [each for each in receipt["failures"] if each["run_id"] in kept]
    yield Compared("failures: causes", recorded, stored.failures)
    unlisted = {each["run_id"] for each in receipt["failures"]} - {*receipt["failed_run_ids"]}
    yield Compared("failures: runs that did not fail", [], sorted(unlisted))


def detected(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Assess the recorded runs again; that there were these runs is taken as recorded."""
    found = receipt["detection"]
    if not found:
        return
    outcomes, threshold, usual = found["outcomes"], found["threshold"], found["usual"]
    if found["before"] is not None:
        now = assess_surge(outcomes, threshold=threshold, usual=usual, before=found["before"])
    else:
        now = assess(outcomes, recent=found["recent"], threshold=threshold, usual=usual)
    for what, parts in _PARTS_OF_A_DETECTION.items():
        yield Compared(
            f"detection: {what}",
            {part: found[part] for part in parts},  # type: ignore[literal-required]
            {part: now[part] for part in parts},  # type: ignore[literal-required]
        )
    due = failures_to_read(found)
    yield Compared("detection: failed runs that were read", len(receipt["failed_run_ids"]), due)


_PARTS_OF_A_DETECTION: Final = {
    "runs": ("runs", "failures"),
    "usual failure rate": ("usual_rate",),
    "e-value": ("e_value",),
    "window": ("window",),
    "rule": ("rule", "reason"),
}


def judge(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Recompute what the judge's opinions come to, its anchor, its flag, and what followed."""
    found = receipt["judge"]
    if not found:
        return
    check, flagged = stored.check, found["flag"] is not None
    identity = (found["model"], found["prompt_version"])
    yield Compared(
        "judge: stored check",
        (*identity, found["agreed"], found["asked"], flagged),
        (check.model, check.prompt_version, check.agreed, check.asked, check.drifted)
        if check
        else (*identity, 0, 0, False),
    )
    golden = {each.id: each for each in golden_verdicts()}
    opinions = [Opinion(golden[each], score) for each, score in found["opinions"].items()]
    by_part = {each["part"]: each for each in judge_drift.parts_of(opinions)}
    parts = found["parts"]
    yield Compared("judge: agreement", parts, [by_part.get(each["part"]) for each in parts])
    yield Compared("judge: parts", [], sorted(by_part.keys() - {each["part"] for each in parts}))
    yield Compared("judge: anchor", found["compared"], _anchor(found, stored))
    yield Compared(
        "judge: verdict",
        (found["usual"], found["drifted"], found["low"]),
        (pooled(found["compared"]), *_standing(found)),
    )
    yield Compared("judge: number of thirds", *_thirds(found))
    yield Compared("judge: flag", found["flag"], stored.flag)
    if flag := found["flag"]:
        raised = raises_flag(
            (flag["agreed"], flag["asked"]), flag["usual"], complete=flag["complete"]
        )
        yield Compared("judge: flag raised", True, raised)
    if found["parts"] and not found["flag"]:
        yield Compared("judge: no flag raised", False, _raises(found))
    if judge_consequence(receipt) == "heal_evaluator":
        yield Compared("judge: cause", receipt["agent"], "evaluator")


def _anchor(found: JudgeFinding, stored: Stored) -> list[SoundCheck]:
    """Return the anchor's checks as they are stored, at most so many, sound ones only."""
    return [
        SoundCheck(
            check=each.id,
            model=each.model,
            prompt_version=each.prompt_version,
            agreed=each.agreed,
            asked=each.asked,
        )
        for each in stored.anchor[:ANCHOR_CHECKS]
        if not each.drifted and each.model == found["model"]
    ]


def _standing(found: JudgeFinding) -> tuple[bool, bool]:
    """Return `drifted` and `low`, by the flag."""
    flag = found["flag"]
    return (
        flag is not None and flag["usual"] is not None,
        flag is not None and flag["usual"] is None,
    )


def _thirds(found: JudgeFinding) -> tuple[int, int]:
    """Return how many thirds were asked, and after how many the result is clear."""
    counts, anchor = judge_drift.counts(found["parts"]), found["usual"]
    steps = (after_part(counts[:place], anchor) for place in range(1, len(counts) + 1))
    due = next((place for place, step in enumerate(steps, 1) if step != "continue"), PARTS)
    return len(counts), due if counts else 0


def _raises(found: JudgeFinding) -> bool:
    counts = judge_drift.counts(found["parts"])
    complete = len(counts) == PARTS
    return raises_flag(total(counts), found["usual"], complete=complete)


def judge_consequence(receipt: Receipt) -> Consequence:
    """Decide again what a healing did about its judge; to heal, where it was not checked."""
    found = receipt["judge"]
    if not found:
        return "heal"
    return consequence(
        found,
        decided_by_marks(receipt["failures"]),
        receipt["asked_about"],
        shortening=is_shortening(receipt["trigger"]),
    )


def attributed(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Decide again whose prompt it is; nothing, where that was requested or was not reached."""
    findings = receipt["findings"]
    if not findings or "attribution" not in findings:
        return
    recorded = findings["attribution"]
    evidence = recorded["evidence"]
    tried = {
        agent: _passed(stored.trials, attribution.ARMS[agent]) for agent in evidence["reverted"]
    }
    yield Compared("attribution: trials", evidence["reverted"], tried)
    yield Compared(
        "attribution: causes of the failures",
        evidence["causes"],
        cause_counts(receipt["failures"]),
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
    aside = divided["aside"]
    ids = [each for side in (*sides, aside) for each in set(side)]
    twice = sorted({each for each in ids if ids.count(each) > 1})
    yield Compared("split: cases in two sets", [], twice)
    train, proof = set(sides[0]), {*sides[1], *sides[2]}
    astray = [
        f"{each.stage} {each.case_id}"
        for each in stored.trials
        if (each.stage == "screen" and each.case_id not in train)
        or (each.stage == "edits" and each.case_id not in {*train, *aside})
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
