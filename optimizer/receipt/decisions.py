"""Verification of what a healing decided: candidates, screens, gates, release, outcome."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Origin, Stage, Trial
from selfheal.optimizer import outcomes
from selfheal.optimizer.dataset.cases import production_ids
from selfheal.optimizer.evaluation.trials import INCUMBENT, is_evidence
from selfheal.optimizer.guardrails.lint import violations
from selfheal.optimizer.guardrails.reference import reference_from_evidence
from selfheal.optimizer.outcomes import Ending
from selfheal.optimizer.policy import collecting, screening, superiority, transitions
from selfheal.optimizer.policy.added_clauses import fate_reason, held_edits
from selfheal.optimizer.policy.noninferiority import gate_test
from selfheal.optimizer.policy.rollout_plan import (
    decisive_gate,
    expected_pass_rate,
    plan,
    proven,
)
from selfheal.optimizer.policy.sequential_test import GateCases, GateTest, report
from selfheal.optimizer.policy.superiority import Pair
from selfheal.optimizer.receipt.build import candidate_diff
from selfheal.optimizer.receipt.origins import judge_consequence
from selfheal.optimizer.receipt.schema import CandidateRecord, Receipt, SplitRecord
from selfheal.optimizer.receipt.stored import Compared, Stored
from selfheal.optimizer.records.candidates import Fate, GateReport, ScreenReport
from selfheal.optimizer.records.cases import GENERATED, PREVIOUSLY_LIVE, Version
from selfheal.optimizer.records.diagnosis import Evidence
from selfheal.optimizer.state import is_shortening

Trials = Mapping[tuple[Stage, int, str, int], Trial]
"""Trials by (stage, arm, case id, take)."""


class _Standing(NamedTuple):
    """What has become of a candidate, and why."""

    fate: Fate
    reason: Reason | None


def candidates(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Recompute each diff, lint each text again, and decide again what became of it."""
    rows = {each.ordinal: (each.round, each.origin, each.text) for each in stored.candidates}
    for each in receipt["candidates"]:
        name, ordinal = f"candidate {each['ordinal']}", each["ordinal"]
        recorded = (each["round"], each["origin"], each["text"])
        yield Compared(f"{name}: text", recorded, rows.get(ordinal))
        diff = candidate_diff(receipt["agent"], _incumbent(receipt), ordinal, each["text"])
        yield Compared(f"{name}: diff", each["diff"], diff)
        if each["origin"] != "diet":  # see ablation.py
            yield Compared(f"{name}: fate", (each["fate"], each["reason"]), _fate(receipt, each))


def _fate(receipt: Receipt, candidate: CandidateRecord) -> _Standing:
    """Return what becomes of a candidate by lint, and by the recorded screens and gates."""
    if candidate["origin"] in GENERATED and (found := _violations(receipt, candidate)):
        return _Standing("lint", because("breaks_prompt_rules", violations=found))
    ordinal = candidate["ordinal"]
    for test in receipt["edit_tests"]:
        if test["ordinal"] == ordinal and (why := fate_reason(test)):
            return _Standing("edits", why)
    for gate in receipt["gates"]:
        if gate["ordinal"] == ordinal:
            return _Standing(superiority.fate(gate["verdict"]), gate["reason"])
    for screen in reversed(receipt["screens"]):
        for result in screen["results"]:
            if result["ordinal"] == ordinal != screen["survivor"]:
                return _Standing("screen", screening.lost(result, screen["survivor"]))
    return _Standing("", None)


def _violations(receipt: Receipt, candidate: CandidateRecord) -> list[Reason]:
    earlier = [each for each in receipt["candidates"] if each["ordinal"] < candidate["ordinal"]]
    evidence: Sequence[Evidence] = receipt["evidence"]
    incumbent, anchor = _incumbent(receipt)["text"], receipt["anchor"] or ""
    tenants = receipt["evidence_tenants"]
    reference = reference_from_evidence(receipt["agent"], incumbent, evidence, tenants, anchor)
    return violations(candidate["text"], reference, [each["text"] for each in earlier])


def _incumbent(receipt: Receipt) -> Version:
    """Return the incumbent of a healing that came as far as candidates."""
    if receipt["incumbent"] is None:
        raise ValueError("there are candidates, and no incumbent")
    return receipt["incumbent"]


def _split(receipt: Receipt) -> SplitRecord:
    """Return the split of a healing that came as far as trials."""
    if receipt["split"] is None:
        raise ValueError("there are trials, and no split")
    return receipt["split"]


def screens(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Rank the candidates of each screening again."""
    agent, judge = receipt["agent"], receipt["judge"]
    for before, screen in zip([None, *receipt["screens"]], receipt["screens"], strict=False):
        remaining = _screened(receipt, screen, before)
        results = {each["ordinal"]: _screen_trials(stored, each["ordinal"]) for each in remaining}
        proven = {each["ordinal"] for each in remaining if each["origin"] in PREVIOUSLY_LIVE}
        least = screening.bar(agent, judge and judge["usual"])
        rule = screening.Rule(agent, least, len(_split(receipt)["train"]))
        now = screening.report(rule, results, proven)
        name = f"screen of round {screen['round']}"
        yield Compared(f"{name}: results", screen["results"], now["results"])
        yield Compared(
            f"{name}: survivor",
            (screen["survivor"], screen["bar"]),
            (now["survivor"], now["bar"]),
        )


def _screened(
    receipt: Receipt, screen: ScreenReport, before: ScreenReport | None
) -> list[CandidateRecord]:
    """Return the candidates of a screening's round, and those outranked in the one before."""
    outranked = {
        each["ordinal"]
        for each in (before["results"] if before else ())
        if each["ordinal"] != (before and before["survivor"])
        and screening.lost(each, before and before["survivor"])["code"] == "screening_outranked"
    }
    return [
        each
        for each in receipt["candidates"]
        if each["fate"] != "lint"
        and each["origin"] != "reduced"
        and (each["round"] == screen["round"] or each["ordinal"] in outranked)
    ]


def _screen_trials(stored: Stored, arm: int) -> list[Trial]:
    return [
        each
        for each in stored.trials
        if (each.stage, each.arm) == ("screen", arm) and is_evidence(each)
    ]


def gates(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Repeat each gate with the stored trials, in its order, to where it stopped, and decide."""
    trials = _evidence(stored)
    for gate in receipt["gates"]:
        name = f"gate of candidate {gate['ordinal']}"
        test = _repeated(receipt, gate, trials)
        if gate["budget_spent"]:
            yield Compared(f"{name}: ended by the budget", True, _is_cut_short(gate, test, stored))
        yield Compared(f"{name}: second stage left out", False, test.extendable)
        now = report(test, gate["ordinal"], budget_spent=gate["budget_spent"])
        for what, parts in _PARTS_OF_A_GATE.items():
            yield Compared(
                f"{name}: {what}",
                {part: gate[part] for part in parts},  # type: ignore[literal-required]
                {part: now[part] for part in parts},  # type: ignore[literal-required]
            )


_PARTS_OF_A_GATE: Final = {
    "order of pairs": ("pairs", "pair_results"),
    "stopping point": ("cases_run", "stopped"),
    "detectable difference": ("detectable",),
    "second stage": ("needed", "affordable"),
    "gains and losses": ("gains", "losses"),
    "e-value": ("e_value",),
    "W": ("w_value",),
    "slices": ("slices",),
    "tokens": ("tokens",),
    "rates": ("incumbent_rate", "candidate_rate"),
    "score difference": ("difference", "lower"),
    "verdict": ("verdict", "reason"),
}


def _repeated(receipt: Receipt, gate: GateReport, trials: Trials) -> GateTest:
    """Return a gate's test by the trials; only the budget may end it before the evidence does."""
    split = _split(receipt)
    cases = GateCases.in_turns(
        split["hold_out"], split["regression"], split["pinned"], split["slices"]
    )
    test = gate_test(
        cases,
        gate["width"],
        shortening=is_shortening(receipt["trigger"]),
        most_cases=gate["most_cases"],
        usual_tokens=gate["usual_tokens"],
        was_live=_origin(receipt, gate["ordinal"]) in PREVIOUSLY_LIVE,
    )
    while True:
        while batch := test.next():
            if gate["budget_spent"] and test.cases_run >= gate["cases_run"]:
                return test
            pairs = [_pair(trials, gate["ordinal"], case, test) for case in batch]
            test.add(batch, [pair for pair in pairs if pair])
        if gate["affordable"] is None or not test.extendable:
            return test
        test.extend(gate["affordable"])


def _origin(receipt: Receipt, ordinal: int) -> Origin | None:
    found = (each["origin"] for each in receipt["candidates"] if each["ordinal"] == ordinal)
    return next(found, None)


def _is_cut_short(gate: GateReport, test: GateTest, stored: Stored) -> bool:
    """Tell whether a trial of the batch in progress is missing when the budget ended a gate."""
    trials, arm = _evidence(stored), gate["ordinal"]
    ran = {(it.stage, it.arm, it.case_id, it.take) for it in stored.trials}
    due: list[tuple[Stage, int, str, int]] = []
    for case in test.next():
        due += [("gate", INCUMBENT, case, 0), ("gate", arm, case, 0)]
        pair = _pair(trials, arm, case, test)
        takes = len(pair.repeats) if pair else 0
        due += [("gate", arm, case, take) for take in range(1, takes + 1)]
    return any(key not in ran for key in due)


def _pair(trials: Trials, arm: int, case: str, test: GateTest) -> Pair | None:
    old, new = trials.get(("gate", INCUMBENT, case, 0)), trials.get(("gate", arm, case, 0))
    pair = superiority.paired(case, not test.proven, old, new)
    while pair and superiority.needs_repeat(pair, test.cases.pinned):
        take = len(pair.repeats) + 1
        pair = superiority.with_repeat(pair, trials.get(("gate", arm, case, take)))
    return pair


def _evidence(stored: Stored) -> Trials:
    """Return the trials that have a verdict."""
    return {
        (each.stage, each.arm, each.case_id, each.take): each
        for each in stored.trials
        if is_evidence(each)
    }


def keeping(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Decide again whether a candidate was kept, and compare copied trials with their source."""
    production = production_ids(_split(receipt)["hold_out"]) if receipt["split"] else []
    gates_by_ordinal = {each["ordinal"]: each for each in receipt["gates"]}
    for each in receipt.get("keeping") or []:
        gate = gates_by_ordinal[each["ordinal"]]
        name = f"keeping of candidate {each['ordinal']}"
        if each["incumbent"] is None:
            decided = collecting.decide_again(gate, production)
        else:
            tried = _screen_trials(stored, INCUMBENT)
            counted = (sum(trial.passed for trial in tried), len(tried))
            yield Compared(f"{name}: trials of the incumbent", each["incumbent"], counted)
            screens, tests = receipt["screens"], receipt["edit_tests"]
            decided = collecting.decide(gate, screens, production, counted, tests)
        yield Compared(f"{name}: decision", (each["kept"], each["reason"]), decided)
        used = collecting.tried_cases(gate, production)
        yield Compared(f"{name}: cases", each["held_out"], used)
    if (kept := receipt.get("kept_candidate")) and receipt["candidates"]:
        used = [each for each in kept["held_out"] if each in production]
        yield Compared(
            "kept candidate: earlier trials",
            _gate_results(stored.kept_trials, kept["ordinal"], used),
            _gate_results(stored.trials, receipt["candidates"][0]["ordinal"], used),
        )


def _gate_results(
    trials: Sequence[Trial], arm: int, cases: Sequence[str]
) -> list[tuple[str, bool, str, bool, float]]:
    """Return the gate's first trials of a candidate and the incumbent on these cases, in order."""
    return sorted(
        (each.case_id, each.arm == arm, each.outcome, each.passed, each.score)
        for each in trials
        if each.stage == "gate"
        and each.arm in (INCUMBENT, arm)
        and not each.take
        and each.case_id in cases
    )


def last_step(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Decide again what followed the last round."""
    last = receipt["rounds"]
    nothing = not last and not receipt["candidates"]
    if receipt["gave_up"] or nothing or is_shortening(receipt["trigger"]):
        return
    screen = next((each for each in receipt["screens"] if each["round"] == last), None)
    survivor = screen["survivor"] if screen else None
    gates, followed = receipt["gates"], ""
    if screen is None:
        followed = transitions.after_lint(receipt["candidates"], last, gates)
        survivor = None if last else receipt["candidates"][0]["ordinal"]
    else:
        followed = transitions.after_screen(survivor, last, gates)
    if followed == "edits":
        survivor = _reached(receipt, survivor)
        followed = transitions.after_edits(survivor, last, gates)
    if followed == "gate" and not receipt["cut_short"]:
        yield Compared("gates: candidate", gates[-1]["ordinal"], survivor)
        followed = _after_gate(receipt, last)
    if receipt["cut_short"]:  # that it was is taken as recorded; what may follow is not
        followed = "release" if proven(gates) else "a proven candidate"
    yield Compared("last step", "release" if receipt["release"] else "conclude", followed)


def _after_gate(receipt: Receipt, last: int) -> str:
    """Return what follows the last gate: its candidate may be kept, instead of another round."""
    gate, kept = receipt["gates"][-1], receipt.get("keeping") or []
    origins = {each["ordinal"]: each["origin"] for each in receipt["candidates"]}
    possible = bool(receipt["failed_run_ids"]) and not proven(receipt["gates"])
    asked = possible and collecting.is_question(
        receipt["agent"],
        origins[gate["ordinal"]],
        gate,
        receipt["screens"],
        production_ids(_split(receipt)["hold_out"]),
        receipt["edit_tests"],
    )
    decided = bool(kept) and kept[-1]["ordinal"] == gate["ordinal"]
    if asked != decided:
        return f"keeping decided: {asked}"
    if decided and outcomes.kept(kept):
        return "conclude"
    return transitions.after_gate(receipt["gates"], last, _expected(receipt))


def _reached(receipt: Receipt, survivor: int | None) -> int | None:
    """Return what reaches the gate of a survivor: itself, what is left of it, or nothing."""
    test = next((each for each in receipt["edit_tests"] if each["ordinal"] == survivor), None)
    if test is None:
        return survivor
    return None if test["reason"] else test["reduced"] or survivor


def released(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Plan the release again, and look for it in the release log."""
    decided = receipt["release"]
    if not decided:
        return
    gate = decisive_gate(receipt["gates"])
    held = held_edits(receipt["edit_tests"], gate["ordinal"])
    now = plan(decided["rollout"], receipt["agent"], gate, _expected(receipt), held)
    yield Compared("release: plan", (decided["action"], decided["reason"]), now)
    steps = [each for each in stored.releases if each.actor == "optimizer"]
    made = [each.version for each in steps if each.action in ("heal", "canary")]
    due = [] if decided["void"] or decided["action"] == "stage" else [receipt["to_version"]]
    yield Compared("release: release log", due, made)


def ended(receipt: Receipt, stored: Stored) -> Iterator[Compared]:
    """Conclude again, and look at the healing's row: a follow-up changes its outcome alone."""
    recorded = (receipt["outcome"], receipt["reason"])
    yield Compared("outcome: decision", recorded, _ending(receipt))
    row = stored.healing
    last = row.follow_ups[-1]["outcome"] if row.follow_ups else receipt["outcome"]
    yield Compared("outcome: stored outcome", (last, receipt["reason"]), (row.outcome, row.reason))


def _ending(receipt: Receipt) -> Ending:
    decided = _decided(receipt)
    if receipt["gave_up"]:
        return outcomes.gave_up(decided and decided.outcome, receipt["reason"])
    return decided or outcomes.rejected(
        receipt["gates"], receipt["candidates"], receipt["unjudged"]
    )


def _decided(receipt: Receipt) -> Ending | None:
    """Return the ending that the judge or a release brought; None if it was neither."""
    judge, release = receipt["judge"], receipt["release"]
    if judge and judge_consequence(receipt) == "freeze":
        return outcomes.frozen(judge)
    if is_shortening(receipt["trigger"]) and receipt["candidates"] and not receipt["gates"]:
        return outcomes.nothing_to_shorten(receipt["candidates"], receipt["unjudged"])
    if release:
        return outcomes.released(release, decisive_gate(receipt["gates"])["reason"])
    return outcomes.kept(receipt.get("keeping") or [])


def _expected(receipt: Receipt) -> float | None:
    return expected_pass_rate(receipt["agent"], receipt["detection"])
