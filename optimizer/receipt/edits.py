"""Verification of the test of a candidate's edits."""

from collections.abc import Iterator
from typing import Final

from selfheal.optimizer.evaluation.trials import is_evidence
from selfheal.optimizer.guardrails.reference import AUTHOR
from selfheal.optimizer.policy.added_clauses import EditTest, Trusted, edit_test, reduced, report
from selfheal.optimizer.receipt.schema import CandidateRecord, Receipt
from selfheal.optimizer.receipt.stored import Compared, Stored
from selfheal.optimizer.records.candidates import EditReport
from selfheal.optimizer.records.cases import GENERATED, PREVIOUSLY_LIVE
from selfheal.optimizer.text.edits import exempt_sentences


def edits(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Repeat each test with the stored trials, and look for tests that are missing."""
    candidates = {each["ordinal"]: each for each in receipt["candidates"]}
    due = [
        screen["survivor"]
        for screen in receipt["screens"]
        if screen["survivor"] and candidates[screen["survivor"]]["origin"] in GENERATED
    ]
    tested = [each["ordinal"] for each in receipt["edit_tests"]]
    if not (receipt["gave_up"] or receipt["cut_short"]):
        yield Compared("edits: candidates", tested, due)
    first_arm = 1
    for each in receipt["edit_tests"]:
        yield from _repeated(receipt, stored, each, candidates, first_arm)
        first_arm += each["arms"]


def _repeated(
    receipt: Receipt,
    stored: Stored,
    recorded: EditReport,
    candidates: dict[int, CandidateRecord],
    first_arm: int,
) -> Iterator[Compared]:
    survivor = candidates[recorded["ordinal"]]
    name = f"edits of candidate {recorded['ordinal']}"
    trusted = _trusted(receipt, recorded)
    unfounded = set(recorded["exempt"]) - set(_exempt(receipt, stored, survivor))
    yield Compared(f"{name}: exempt sentences of no version", [], sorted(unfounded))
    split = receipt["split"]
    train = [*split["train"], *split["aside"]] if split else []
    test = edit_test(
        receipt["agent"],
        survivor,
        trusted,
        train,
        [trial for trial in stored.trials if is_evidence(trial)],
        first_arm,
    )
    _run(test, stored)
    now = report(test, survivor, trusted, recorded["doubted"])
    rest = reduced(test, survivor, now, recorded["reduced"] or 0)
    now["reduced"] = rest["ordinal"] if rest else None
    for part in _PARTS:
        yield Compared(f"{name}: {part}", recorded[part], now[part])
    if rest and recorded["reduced"]:
        left = candidates[recorded["reduced"]]
        same = (left["origin"], left["text"], left["rationale"])
        yield Compared(f"{name}: text", same, (rest["origin"], rest["text"], rest["rationale"]))


_PARTS: Final = (
    *("cases", "slip", "edits", "arms", "proofs", "removed", "restored", "reduced", "held"),
    "reason",
)


def _run(test: EditTest, stored: Stored) -> None:
    """Give a test its trials, as they are stored; None where one has no verdict."""
    known = {
        (each.arm, each.case_id, each.take): each.passed
        for each in stored.trials
        if each.stage == "edits" and is_evidence(each)
    }
    while attempt := test.next():
        test.add([known.get((attempt.arm, case, take)) for case, take in attempt.batch])


def _trusted(receipt: Receipt, recorded: EditReport) -> Trusted:
    incumbent = receipt["incumbent"]["text"] if receipt["incumbent"] else ""
    return Trusted(incumbent, receipt["anchor"] or "", recorded["exempt"])


def _exempt(receipt: Receipt, stored: Stored, survivor: CandidateRecord) -> list[str]:
    """Return the sentences that are exempt by the stored versions and the versions tried first."""
    texts = [each.text for each in stored.written if each.author != AUTHOR]
    texts += [each["text"] for each in receipt["candidates"] if each["origin"] in PREVIOUSLY_LIVE]
    return exempt_sentences(survivor["text"], texts)
