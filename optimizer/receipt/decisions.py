"""What a healing decided of its candidates, made again. See recompute.py.

Each function yields what is looked at, what is on record, and what it is when it is made again.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from selfheal.db.types import Stage, Trial
from selfheal.optimizer import build, outcomes
from selfheal.optimizer.evaluation import judge_drift
from selfheal.optimizer.evaluation.trials import INCUMBENT, is_evidence
from selfheal.optimizer.guardrails.lint import violations
from selfheal.optimizer.guardrails.reference import reference_from_evidence
from selfheal.optimizer.policy import screening, superiority
from selfheal.optimizer.policy.noninferiority import course_for
from selfheal.optimizer.policy.sequential_test import Course, report
from selfheal.optimizer.policy.superiority import Pair
from selfheal.optimizer.receipt.build import difference
from selfheal.optimizer.receipt.stored import Stored
from selfheal.optimizer.rollout.release import Plan, plan
from selfheal.optimizer.state import EARLIER, WRITTEN, State, on_diet

Record = dict[str, Any]
Found = Iterator[tuple[str, Any, Any]]
Tried = Mapping[tuple[Stage, int, str, int], Trial]

_OF_A_GATE: Final = {
    "pairs in order": ("pairs", "course"),
    "where it stopped": ("asked", "stopped"),
    "gains and losses": ("gains", "losses"),
    "e-value": ("e_value",),
    "rates": ("incumbent_rate", "candidate_rate"),
    "score difference": ("difference", "lower"),
    "verdict": ("verdict", "reason"),
}


def candidates(record: Record, stored: Stored) -> Found:
    """Take each diff again, lint each text again, and say again what became of it."""
    texts = {each.ordinal: (each.round, each.origin, each.text) for each in stored.candidates}
    for each in record["candidates"]:
        name, ordinal = f"candidate {each['ordinal']}", each["ordinal"]
        said = (each["round"], each["origin"], each["text"])
        yield f"{name}: its text", said, texts.get(ordinal)
        yield f"{name}: diff", each["diff"], difference(record, ordinal, each["text"])
        if each["origin"] != "diet":  # see trims
            yield f"{name}: fate", (each["fate"], each["reason"]), _fate(record, each)


def _fate(record: Record, candidate: Record) -> tuple[str, str]:
    """Return what becomes of a candidate by lint, and by what is on record of screen and gate."""
    if candidate["origin"] in WRITTEN and (found := _breaches(record, candidate)):
        return "lint", "; ".join(found)
    ordinal = candidate["ordinal"]
    for held in record["gates"]:
        if held["ordinal"] == ordinal:
            return superiority.fate(held["verdict"]), held["reason"]
    for screen in record["screens"]:
        for each in screen["results"]:
            if each["ordinal"] == ordinal != screen["survivor"]:
                return "screen", screening.lost(each["passed"], each["of"])
    return "", ""


def _breaches(record: Record, candidate: Record) -> list[str]:
    earlier = [each for each in record["candidates"] if each["ordinal"] < candidate["ordinal"]]
    held_against = reference_from_evidence(
        record["agent"], record["incumbent"]["text"], record["evidence"], record["anchor"]
    )
    return violations(candidate["text"], held_against, [each["text"] for each in earlier])


def screens(record: Record, stored: Stored) -> Found:
    """Rank the candidates of each screen again."""
    tried = _tried(stored)
    agent = record["agent"]
    for each in record["screens"]:
        name = f"screen of round {each['round']}"
        racing = [it for it in record["candidates"] if it["round"] == each["round"]]
        racing = [it for it in racing if it["fate"] != "lint"]
        train = record["split"]["train"][: screening.CASES[agent]]
        results = {
            it["ordinal"]: [
                trial for case in train if (trial := tried.get(("screen", it["ordinal"], case, 0)))
            ]
            for it in racing
        }
        proven = {it["ordinal"] for it in racing if it["origin"] in EARLIER}
        now = screening.report(results, proven, screening.bar(agent, record["judge"]["usual"]))
        yield f"{name}: results", each["results"], now["results"]
        yield (
            f"{name}: survivor",
            (each["survivor"], each["bar"]),
            (now["survivor"], now["bar"]),
        )


def gates(record: Record, stored: Stored) -> Found:
    """Walk each gate's cases again, in its order, to where it stopped and what it decided."""
    tried = _tried(stored)
    for each in record["gates"]:
        name = f"gate of candidate {each['ordinal']}"
        walked = _walked(record, each, tried)
        if each["budget_spent"]:
            yield f"{name}: cut short", True, _cut_short(each, walked, stored)
        now = report(walked, each["stopped"] if each["budget_spent"] else "")
        for what, fields in _OF_A_GATE.items():
            before = {field: each[field] for field in fields}
            yield f"{name}: {what}", before, {field: now[field] for field in fields}


def _walked(record: Record, held: Record, tried: Tried) -> Course:
    """Return a gate's course by the trials; only the budget may end it before the evidence does."""
    split = record["split"]
    sides = (split["hold_out"], split["regression"])
    walked = course_for(record, sides, held["width"], split["pinned"])
    while batch := walked.next():
        if held["budget_spent"] and walked.asked >= held["asked"]:
            break
        pairs = [_pair(tried, held["ordinal"], case, walked) for case in batch]
        walked.add(len(batch), [pair for pair in pairs if pair])
    return walked


def _cut_short(held: Record, walked: Course, stored: Stored) -> bool:
    """Tell whether something is left of what was begun when the budget ended a gate."""
    tried, arm = _tried(stored), held["ordinal"]
    ran = {(it.stage, it.arm, it.case_id, it.take) for it in stored.trials}
    left: list[tuple[Stage, int, str, int]] = []
    for case in walked.next():
        left += [("gate", INCUMBENT, case, 0), ("gate", arm, case, 0)]
        pair = _pair(tried, arm, case, walked)
        takes = len(pair.again) if pair else 0
        left += [("gate", arm, case, take) for take in range(1, takes + 1)]
    return any(key not in ran for key in left)


def _pair(tried: Tried, arm: int, case: str, walked: Course) -> Pair | None:
    old, new = tried.get(("gate", INCUMBENT, case, 0)), tried.get(("gate", arm, case, 0))
    pair = superiority.paired(case, not walked.proven, old, new)
    while pair and superiority.asks_again(pair, walked.pinned):
        pair = superiority.taken_again(pair, tried.get(("gate", arm, case, len(pair.again) + 1)))
    return pair


def _tried(stored: Stored) -> Tried:
    """Return the trials that are evidence."""
    return {
        (each.stage, each.arm, each.case_id, each.take): each
        for each in stored.trials
        if is_evidence(each)
    }


def course(record: Record, stored: Stored) -> Found:
    """Ask again whether it was time to end after the last round, or to go on."""
    # A round may have brought no candidate; receipts of before that was so do not count rounds.
    known = max((each["round"] for each in record["candidates"]), default=0)
    last = record.get("rounds", known)
    if record["gave_up"] or not last or on_diet(record):
        return
    screen = next((each for each in record["screens"] if each["round"] == last), None)
    survivor = screen and screen["survivor"]
    state = cast("State", {**record, "proposals": record["candidates"], "round": last})
    state["survivor"] = survivor
    went: str = build.after_lint(state) if screen is None else build.after_screen(state)
    if went == "gate":
        yield "gates: their candidate", record["gates"][-1]["ordinal"], survivor
        went = build.after_gate(state)
    yield "course: what came last", "release" if record["release"] else "conclude", went


def released(record: Record, stored: Stored) -> Found:
    """Plan the release again, and look for it in the release log."""
    decided = record["release"]
    if not decided:
        return
    held = record["gates"][-1]
    now = plan(decided["rollout"], record["agent"], held["verdict"], held["incumbent_rate"])
    yield (
        "release: plan",
        (decided["action"], decided["reason"]),
        (now.action, now.reason),
    )
    steps = [each for each in stored.releases if each.actor == "optimizer"]
    made = [each.version for each in steps if each.action in ("heal", "canary")]
    due = [] if decided["void"] or decided["action"] == "stage" else [record["to_version"]]
    yield "release: what the release log says", due, made


def ended(record: Record, stored: Stored) -> Found:
    """Conclude again, and look at the healing's row: a later step changes its outcome alone."""
    said = (record["outcome"], record["reason"])
    yield "outcome: decision", said, _ending(record)
    row = stored.healing
    last = row.follow_ups[-1]["outcome"] if row.follow_ups else record["outcome"]
    yield "outcome: the healing's row", (last, record["reason"]), (row.outcome, row.reason)


def _ending(record: Record) -> tuple[str, str]:
    decided = _decided(record)
    if record["gave_up"]:
        return outcomes.gave_up(decided and decided.outcome, record["reason"])
    return decided or outcomes.rejected(
        record["gates"], record["candidates"], record.get("unjudged")
    )


def _decided(record: Record) -> outcomes.Ending | None:
    """Return the ending that the judge or a release brought; None if it was neither."""
    found, release = record["judge"], record["release"]
    judge = judge_drift.drift_from_json(found) if found else None
    if judge and judge_drift.blocks_healing(judge, record["asked_about"], diet=on_diet(record)):
        return outcomes.frozen(judge)
    if on_diet(record) and record["candidates"] and not record["gates"]:
        return outcomes.lean(record["candidates"], record.get("unjudged"))
    if not release:
        return None
    if release["void"]:
        return outcomes.void(release["void"])
    planned = Plan(release["action"], release["reason"])
    return outcomes.released(planned, record["gates"][-1]["reason"])
