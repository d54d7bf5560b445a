"""Verification of a healing that shortens a prompt."""

from collections.abc import Iterator, Sequence
from typing import Final

from selfheal.optimizer.evaluation.trials import INCUMBENT, is_evidence
from selfheal.optimizer.policy import superiority
from selfheal.optimizer.policy.ablation import Ablation, contender, half
from selfheal.optimizer.policy.superiority import Pair
from selfheal.optimizer.policy.transitions import after_shortening_gate
from selfheal.optimizer.receipt.schema import CandidateRecord, Receipt
from selfheal.optimizer.receipt.stored import Compared, Stored
from selfheal.optimizer.records.candidates import Fate, Proposal
from selfheal.optimizer.state import is_shortening

_OUT: Final[tuple[Fate, ...]] = ("lint", "screen")
_AFTER_GATE: Final = 3  # the round of what is tried when the first gate rejected


def sentences(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Cut the prompt again, and decide again of each sentence whether it may go."""
    if not (is_shortening(receipt["trigger"]) and receipt["candidates"]):
        return
    now = {each["ordinal"]: each for each in _repeated(receipt, stored)}
    recorded = [each["ordinal"] for each in receipt["candidates"]]
    yield Compared("shortening: sentences", recorded, sorted(now))
    gates = {each["ordinal"]: each for each in receipt["gates"]}
    for each in receipt["candidates"]:
        again, gate = now[each["ordinal"]], gates.get(each["ordinal"])
        name = f"candidate {each['ordinal']}"
        yield Compared(f"{name}: removed sentences", _removal(each), _removal(again))
        fate = (again["fate"], again["reason"])
        if gate:
            fate = (superiority.fate(gate["verdict"]), gate["reason"])
        yield Compared(f"{name}: fate", (each["fate"], each["reason"]), fate)


def last_step(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Decide again what went to each gate, and what followed the last one."""
    if not is_shortening(receipt["trigger"]) or receipt["gave_up"]:
        return
    gates = receipt["gates"]
    halved = _halved(receipt)
    due = [*_first(receipt["candidates"]), *(each["ordinal"] for each in halved)]
    yield Compared("gates: candidates", [each["ordinal"] for each in gates], due)
    if gates:
        smaller = _half(receipt, receipt["candidates"], gates[-1]["ordinal"])
        followed = after_shortening_gate(gates, divisible=smaller is not None)
        yield Compared("last step", "release" if receipt["release"] else "conclude", followed)


def _repeated(receipt: Receipt, stored: Stored) -> list[Proposal]:
    """Return the removals that follow from the stored trials."""
    ablation = Ablation(receipt["agent"], _live(receipt))
    train = receipt["split"]["train"] if receipt["split"] else []
    while attempt := ablation.next():
        cases = train[attempt.first : attempt.last]
        ablation.add(_pairs(stored, attempt.proposal["ordinal"], cases))
    return [*ablation.proposals, *_halved(receipt)]


def _removal(proposal: Proposal) -> tuple[str, str, list[int] | None]:
    return proposal["text"], proposal["rationale"], proposal.get("without")


def _live(receipt: Receipt) -> str:
    if receipt["incumbent"] is None:
        raise ValueError("there are candidates, and no incumbent")
    return receipt["incumbent"]["text"]


def _half(receipt: Receipt, tried: Sequence[Proposal], ordinal: int) -> Proposal | None:
    return half(receipt["agent"], _live(receipt), tried, ordinal)


def _halved(receipt: Receipt) -> list[Proposal]:
    """Return what was tried after a first gate that was too much, in a list; else none."""
    if len(receipt["gates"]) < 2:
        return []
    tried = [each for each in receipt["candidates"] if each["round"] < _AFTER_GATE]
    found = _half(receipt, tried, receipt["gates"][0]["ordinal"])
    return [found] if found else []


def _first(candidates: Sequence[CandidateRecord]) -> list[int]:
    """Return what went to the first gate, in a list; its recorded fate is the gate's."""
    before_gate: list[CandidateRecord] = []
    for each in candidates:
        if each["round"] < _AFTER_GATE:
            fate: Fate = each["fate"] if each["fate"] in _OUT else ""
            before_gate.append({**each, "fate": fate})
    found = contender(before_gate)
    return [found["ordinal"]] if found else []


def _pairs(stored: Stored, arm: int, cases: Sequence[str]) -> list[Pair]:
    known = [each for each in stored.trials if each.stage == "screen" and is_evidence(each)]
    tried = {(each.arm, each.case_id): each for each in known}
    found = [
        superiority.paired(case, False, tried.get((INCUMBENT, case)), tried.get((arm, case)))
        for case in cases
    ]
    return [pair for pair in found if pair]
