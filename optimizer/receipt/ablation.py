"""What a diet decided, made again. See recompute.py.

Each function yields what is looked at, what is on record, and what it is when it is made again.
"""

from collections.abc import Iterator
from typing import Any, Final, cast

from selfheal.optimizer import build
from selfheal.optimizer.evaluation.trials import INCUMBENT, is_evidence
from selfheal.optimizer.policy import superiority
from selfheal.optimizer.policy.ablation import Trimming, contender, following, half
from selfheal.optimizer.policy.superiority import Pair
from selfheal.optimizer.receipt.stored import Stored
from selfheal.optimizer.state import Proposal, State, on_diet

Record = dict[str, Any]
Found = Iterator[tuple[str, Any, Any]]

_OUT: Final = ("lint", "screen")


def sentences(record: Record, stored: Stored) -> Found:
    """Cut the prompt again, and decide of each sentence again whether it may go."""
    if not (on_diet(record) and record["candidates"]):
        return
    made = Trimming(record["agent"], record["incumbent"]["text"])
    trying = made.attempts()
    attempt = next(trying, None)
    while attempt:
        proposal, first, last = attempt
        cases = record["split"]["train"][first:last]
        attempt = following(trying, _pairs(stored, proposal["ordinal"], cases))
    made.proposals += _halved(record)
    now = {each["ordinal"]: each for each in made.proposals}
    ordinals = [each["ordinal"] for each in record["candidates"]]
    yield "diet: its sentences", ordinals, sorted(now)
    for each in record["candidates"]:
        again = now[each["ordinal"]]
        held = [it for it in record["gates"] if it["ordinal"] == each["ordinal"]]
        fate = (again["fate"], again["reason"])
        for it in held:
            fate = (superiority.fate(it["verdict"]), it["reason"])
        name = f"candidate {each['ordinal']}"
        what = ("text", "rationale", "without")
        yield (
            f"{name}: what is left out",
            [each[field] for field in what],
            [again.get(field) for field in what],
        )
        yield f"{name}: fate", (each["fate"], each["reason"]), fate


def course(record: Record, stored: Stored) -> Found:
    """Ask again what went to each gate, and whether it was time to end after the last one."""
    if not on_diet(record) or record["gave_up"]:
        return
    due = [*_first(record["candidates"]), *(each["ordinal"] for each in _halved(record))]
    yield "gates: their candidates", [each["ordinal"] for each in record["gates"]], due
    if record["gates"]:
        went = build.after_gate(cast("State", {**record, "proposals": record["candidates"]}))
        yield "course: what came last", "release" if record["release"] else "conclude", went


def _halved(record: Record) -> list[Proposal]:
    """Return what was tried after a first gate that was too much, in a list; else none."""
    tried = [each for each in record["candidates"] if each["round"] < 3]
    if len(record["gates"]) < 2:
        return []
    first = record["gates"][0]["ordinal"]
    found = half(record["agent"], record["incumbent"]["text"], tried, first)
    return [found] if found else []


def _first(candidates: list[Proposal]) -> list[int]:
    """Return what went to the first gate, in a list; its fate is the gate's by now."""
    tried = [each for each in candidates if each["round"] < 3]
    raced = [{**each, "fate": each["fate"] if each["fate"] in _OUT else ""} for each in tried]
    found = contender([cast("Proposal", each) for each in raced])
    return [found["ordinal"]] if found else []


def _pairs(stored: Stored, arm: int, cases: list[str]) -> list[Pair]:
    known = [each for each in stored.trials if each.stage == "screen" and is_evidence(each)]
    tried = {(each.arm, each.case_id): each for each in known}
    found = [
        superiority.paired(case, False, tried.get((INCUMBENT, case)), tried.get((arm, case)))
        for case in cases
    ]
    return [pair for pair in found if pair]
