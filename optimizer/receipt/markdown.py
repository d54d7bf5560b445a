"""A receipt as Markdown, from the failures to the release and the cost."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from selfheal.db.follow_ups import FollowUp
from selfheal.db.reasons import Reason
from selfheal.optimizer.receipt.schema import CandidateRecord, Receipt
from selfheal.optimizer.records.candidates import (
    EditReport,
    Fate,
    GateReport,
    PairResult,
    ScreenReport,
    TokenUse,
)
from selfheal.optimizer.records.detection import Detection
from selfheal.optimizer.state import is_shortening
from selfheal.optimizer.wording import sentence

_MOST_RUNS: Final = 8
_LONGEST: Final = 100
_FENCE: Final = "````"
_ORIGINS: Final = {
    "staged": "kept from an earlier healing until there were cases to prove it on",
    "proven": "proven better than the incumbent before",
    "last_good": "the last good version",
    "predecessor": "the version before the incumbent",
    "writer": "written by the model",
    "gepa": "evolved by GEPA",
    "reduced": "what the failing cases call for of another",
}
_FATES: Final[Mapping[Fate, str]] = {
    "": "not tried",
    "lint": "rejected by the guardrails",
    "screen": "eliminated or outranked in screening",
    "edits": "rejected by the test of its edits",
    "gate": "not accepted by the gate",
    "accepted": "accepted",
}
_EVIDENCE: Final = (
    "The held-out pairs that exactly one side passed, with the e-value after each. If the candidate"
    " is no better, each is a fair coin toss, and the e-value reaches {needed:g} in at most 1 % of"
    " gates:"
)
_EDITS: Final = (
    "Each edit that a case seemed to need, and the trials of that case without it. The"
    " e-value reaches 500 for at most 1 in 500 edits that are not needed:"
)
_ABLATION: Final = (
    "Each sentence was removed alone on a few training cases, the longest first; then all that were"
    " not needed together, on other cases. The largest removal that passed went to a gate; if"
    " rejected, half of it did:"
)


def as_markdown(receipt: Receipt, follow_ups: Sequence[FollowUp] = ()) -> str:
    """Return a receipt as a document.

    Args:
        receipt: what was decided when the healing was closed.
        follow_ups: the steps since then, oldest first.
    """
    tried = _sentences if is_shortening(receipt["trigger"]) else _candidates
    parts = (_failures, _judge, _diagnosis, _cases, tried, _release, _cost)
    lines = [*_head(receipt, follow_ups), *(line for part in parts for line in part(receipt))]
    lines += ["", f"Verify it: `selfheal healings show {receipt['healing_id']} --replay`."]
    return "\n".join(lines) + "\n"


def _head(receipt: Receipt, follow_ups: Sequence[FollowUp]) -> Iterator[str]:
    what = "Shortening" if is_shortening(receipt["trigger"]) else "Healing"
    now = follow_ups[-1]["outcome"] if follow_ups else receipt["outcome"]
    reason = _said(receipt["reason"])
    yield f"# {what} of the {receipt['agent']}: {now}"
    yield ""
    if follow_ups:
        yield f"- decided {receipt['closed_at'][:19]} UTC: {receipt['outcome']}: {reason}"
    else:
        yield reason
    for each in follow_ups:
        at = f"{datetime.fromisoformat(each['at']).astimezone(UTC):%Y-%m-%dT%H:%M:%S} UTC"
        why = _said(each["reason"])
        yield f"- then {at}, by {quoted(each['actor'])}: {each['outcome']}: {why}"
    yield ""
    opened = f"{receipt['opened_at'][:19]} UTC"
    yield f"- healing `{receipt['healing_id']}`, {receipt['trigger']}, {opened}"
    yield f"- version {receipt['from_version']} → {receipt['to_version'] or 'unchanged'}"


def _failures(receipt: Receipt) -> Iterator[str]:
    if is_shortening(receipt["trigger"]):
        return
    yield from ("", "## Failures", "")
    if detection := receipt["detection"]:
        yield from (_detection(detection), "")
    errors = receipt["errors_counted_out"]
    yield (
        f"{len(receipt['failed_run_ids'])} runs whose code failed or was unusable;"
        f" {errors} more ended with errors that no prompt can fix."
    )
    if newest := receipt["newest_error"]:
        why = quoted(f"{newest['outcome']}: {newest['message']}", 500)
        yield f"The newest of these, `{newest['run_id']}`, ended with {why}."
    shown = receipt["evidence"]
    if not shown:
        return
    yield from ("", f"The diagnosis saw {len(shown)} of them, training cases only:", "")
    for each in shown[:_MOST_RUNS]:
        failed = [check["name"] for check in each["checks"] if check["score"] < 1]
        why = f" ({', '.join(failed)})" if failed else ""
        judge = "" if each["judge"] is None else f", judge score {each['judge']:.2f}"
        yield f"- `{each['run_id']}` {each['outcome']}{why}{judge}: {quoted(each['request'])}"
    if len(shown) > _MOST_RUNS:
        yield f"- and {len(shown) - _MOST_RUNS} more"


def _detection(found: Detection) -> str:
    why = _said(found["reason"])
    if found["rule"] == "none":
        return f"It was requested: {why}."
    usual = found["usual"]
    if not usual:
        return f"Opened because {why}; no version has a good record yet."
    record = f"{usual['passed']} of {usual['runs']} runs"
    good = f"version {usual['version']} of the {usual['agent']} prompt, the last good one"
    return f"Opened because {why}; {good}, passed {record}."


def _judge(receipt: Receipt) -> Iterator[str]:
    judge = receipt["judge"]
    if not judge:
        return
    yield from ("", "## The judge", "")
    if not judge["asked"]:
        yield (
            "- not asked: checks forbade a pass in every failure, so that its marks decided none,"
            " and it has no record yet"
        )
        return
    checks = len(judge["compared"])
    before = ""
    if usual := judge["usual"]:
        before = f", {usual[0]} of {usual[1]} in its first sound checks ({checks})"
    state = "it has drifted" if judge["drifted"] else "it is calibrated"
    if judge["low"]:
        state = "it has no sound check, and agrees on fewer than any judge should"
    when = " earlier that day" if judge["fresh"] else ""
    if judge["flag"] and not judge["parts"]:
        when = " when its flag was raised"
    yield (
        f"- the judge, {judge['model']} under prompt {judge['prompt_version']}, agrees on"
        f" {judge['agreed']} of {judge['asked']} golden verdicts{when}{before}: {state}"
    )


def _diagnosis(receipt: Receipt) -> Iterator[str]:
    findings = receipt["findings"]
    if not findings:
        return
    yield from ("", "## Diagnosis", "")
    for each in findings["patterns"]:
        yield f"- {each['description']} ({len(each['run_ids'])} runs)"
    yield from ("", f"Root causes (in the {findings['blame']}'s prompt):", "")
    yield from (f"- {each}" for each in findings["root_causes"])
    if findings["dropped"]:
        yield from ("", "Not given to the proposer:", "")
    for dropped in findings["dropped"]:
        yield f"- {quoted(dropped['text'], 400)}: {_said(dropped['reason'])}"
    if decided := findings.get("attribution"):
        why = _said(decided["reason"])
        yield from ("", f"Attributed to the {findings['blame']}: {why}.")


def _cases(receipt: Receipt) -> Iterator[str]:
    split = receipt["split"]
    if not split:
        return
    yield from ("", "## Cases", "")
    sides = (split["train"], split["hold_out"], split["regression"])
    train, hold_out, regression = map(len, sides)
    counted = f"{train} training, {hold_out} held-out, {regression} regression"
    aside = f"{len(split['aside'])} golden cases set aside for the test of edits"
    yield f"{counted}, {aside}; fingerprint `{split['fingerprint']}`."
    yield "Diagnosis and screening use training cases, the test of edits also what is set aside,"
    yield "the gate the others."


def _candidates(receipt: Receipt) -> Iterator[str]:
    for each in receipt["candidates"]:
        yield from _candidate(each)
        for screen in receipt["screens"]:
            yield from _screened(screen, each["ordinal"])
        for test in receipt["edit_tests"]:
            if test["ordinal"] == each["ordinal"]:
                yield from _edits(test)
        for gate in receipt["gates"]:
            if gate["ordinal"] == each["ordinal"]:
                yield from _gate(gate)


def _edits(test: EditReport) -> Iterator[str]:
    """Yield what was undone of a candidate, and on which evidence."""
    yield from ("", f"### Edits of candidate {test['ordinal']}", "")
    if test["proofs"]:
        yield from (_EDITS, "", "| edit | case | failed | e-value | |", "|---|---|---|---|---|")
    for each in test["proofs"]:
        edit = ("" if each["added"] else "drop ") + quoted(each["edit"]).replace("|", "/")
        verdict = each["verdict"].replace("_", " ")
        counted = f"{each['failed']} of {each['of']} | {each['e_value']:g} | {verdict}"
        yield f"| {edit} | `{each['case_id']}` | {counted} |"
    yield from (f"- removed: no case needs {quoted(each, 400)}" for each in test["removed"])
    yield from (f"- restored: {quoted(each, 400)}" for each in test["restored"])
    if test["held"]:
        yield from ("", f"Waits for approval: {_said(test['held'])}.")


def _sentences(receipt: Receipt) -> Iterator[str]:
    """Yield what was tried without each sentence, and the gates of what was left."""
    if receipt["candidates"]:
        yield from ("", "## Sentences", "", _ABLATION, "")
        yield from ("| | removed | result |", "|---|---|---|")
    gates = {each["ordinal"]: each for each in receipt["gates"]}
    for each in receipt["candidates"]:
        fates = {"": "removable", "accepted": "removed"}
        why = f"{fates.get(each['fate'], 'kept')}: {_said(each['reason'])}"
        left_out = quoted(each["rationale"]).replace("|", "/")
        yield f"| {each['ordinal']} | {left_out} | {why} |"
    for each in receipt["candidates"]:
        if gate := gates.get(each["ordinal"]):
            yield from ("", f"## Without: {quoted(each['rationale'], 400)}", "")
            yield from (f"{_FENCE}diff", each["diff"].replace(_FENCE, "'" * 4), _FENCE)
            yield from _harmless(gate)


def _harmless(gate: GateReport) -> Iterator[str]:
    yield from ("", f"### Gate: {gate['verdict']}", "", f"{_said(gate['reason']).capitalize()}.")
    yield f"{gate['pairs']} pairs: {gate['gains']} gains, {gate['losses']} losses."
    yield from _rates(gate)
    lower = "unknown" if gate["lower"] is None else f"{gate['lower']:+.3f}"
    difference = f"Score difference {gate['difference']:+.3f}"
    yield f"{difference}, 97.5 % lower bound {lower} (must be above -0.10)."
    yield f"It stopped after {gate['cases_run']} cases: {_said(gate['stopped'])}."
    yield from _healed(gate)
    lost = [each for each in gate["pair_results"] if _counts(each) and each["incumbent_passed"]]
    yield from (f"- lost: `{each['case_id']}`" for each in lost)


def _candidate(each: CandidateRecord) -> Iterator[str]:
    origin = _ORIGINS[each["origin"]]
    reduced = each["reason"] is not None and each["reason"]["code"] == "reduced"
    fate = "reduced to another candidate" if reduced else _FATES[each["fate"]]
    yield from ("", f"## Candidate {each['ordinal']} ({origin}, round {each['round']}): {fate}")
    yield from ("", _said(each["reason"]) or "It was not tried further.", "")
    if each["rationale"]:
        yield from (f"Rationale: {quoted(each['rationale'], 400)}", "")
    yield from (f"{_FENCE}diff", each["diff"].replace(_FENCE, "'" * 4), _FENCE)


def _screened(screen: ScreenReport, ordinal: int) -> Iterator[str]:
    for each in screen["results"]:
        if each["ordinal"] == ordinal:
            passed = f"passed {each['passed']} of {each['of']} trials on {each['cases']} cases"
            rank = _rank(screen["survivor"], ordinal)
            yield from ("", f"Screen: {passed}, mean score {each['score']:.2f}; {rank}.")


def _rank(survivor: int | None, ordinal: int) -> str:
    if survivor == ordinal:
        return "the best, so it was selected"
    return f"candidate {survivor} was better" if survivor else "no candidate passed enough cases"


def _gate(gate: GateReport) -> Iterator[str]:
    yield from ("", f"### Gate of candidate {gate['ordinal']}: {gate['verdict']}", "")
    yield f"{_detectable(gate)}."
    counted = f"{gate['pairs']} pairs: {gate['gains']} gains, {gate['losses']} losses"
    yield f"{counted}; e-value {gate['e_value']:g}, accepted at {gate['needed']:g}."
    yield from _rates(gate)
    difference = f"Score difference {gate['difference']:+.3f}"
    yield f"{difference}; W {gate['w_value']:g}, not lower from 20."
    yield f"It stopped after {gate['cases_run']} cases: {_said(gate['stopped'])}."
    yield _tokens(gate["tokens"])
    yield from _slices(gate)
    yield from _healed(gate)
    decisive = [each for each in enumerate(gate["pair_results"], 1) if _counts(each[1])]
    if decisive:
        yield from ("", _EVIDENCE.format(needed=gate["needed"]), "")
        yield from ("| pair | case | counts as | e-value |", "|---|---|---|---|")
    for place, each in decisive:
        what = "gain" if each["candidate_passed"] else "loss"
        yield f"| {place} | `{each['case_id']}` | {what} | {each['e_value']:g} |"


def _healed(gate: GateReport) -> Iterator[str]:
    """Yield the repeated trials of each case that was healed before and failed."""
    said = {True: "passed", False: "lost", None: "no verdict"}
    for each in gate["pair_results"]:
        if each["repeats"]:
            takes = ", ".join(said[passed] for passed in each["repeats"])
            yield f"`{each['case_id']}`, healed before, failed and was run again: {takes}."


def _rates(gate: GateReport) -> Iterator[str]:
    rates = f"incumbent {gate['incumbent_rate']:.0%}, candidate {gate['candidate_rate']:.0%}"
    yield f"Passed: {rates}."


def _detectable(gate: GateReport) -> str:
    """Say what the gate could have shown, by the number of its held-out cases alone."""
    found = gate["detectable"]
    if found is None:
        return "So few held-out cases find no difference of pass rates"
    return f"A difference of {found:.0%} in pass rates would be found with 80 % probability"


def _tokens(use: TokenUse) -> str:
    """Say how many tokens the candidate used, in proportion."""
    if use["ratio"] is None:
        return "Tokens: too few passed cases to compare."
    what = "pairs" if use["against"] == "incumbent" else "trials with runs of the last good version"
    return f"Tokens: {use['ratio']:.2f} times as many, over {use['compared']} {what} (limit 1.50)."


def _slices(gate: GateReport) -> Iterator[str]:
    """Yield the slices in which something was lost."""
    for each in gate["slices"]:
        if each["losses"]:
            counted = f"{each['gains']} gains, {each['losses']} losses in {each['pairs']} pairs"
            found = each["finding"].replace("_", " ")
            yield f"- kind {quoted(each['name'])}: {counted}, e-value {each['e_value']:g}: {found}"


def _counts(pair: PairResult) -> bool:
    """Tell whether a pair moved the e-value."""
    return bool(pair["hold_out"] and pair["incumbent_passed"] != pair["candidate_passed"])


def _release(receipt: Receipt) -> Iterator[str]:
    release = receipt["release"]
    if not release:
        return
    yield from ("", "## Release", "")
    if receipt["cut_short"]:
        yield f"The second round ended early: {_said(receipt['cut_short'])}."
    done = {"release": "released to all threads", "canary": "released as a canary"}
    what = done.get(release["action"], "staged for approval")
    yield f"With `SELFHEAL_ROLLOUT={release['rollout']}`: {_said(release['reason'])}."
    if release["void"]:
        yield f"Not released, the proof is void: {_said(release['void'])}."
    else:
        yield f"Version {receipt['to_version']} was {what}."


def _cost(receipt: Receipt) -> Iterator[str]:
    tokens = receipt["input_tokens"] + receipt["output_tokens"]
    unjudged = receipt["unjudged"]
    if unjudged and unjudged["count"]:
        yield from ("", "## Trials without a verdict", "")
        first = f"; the first: {quoted(unjudged['first'], 500)}" if unjudged["first"] else ""
        yield f"{unjudged['count']} of {unjudged['of']}, not counted as evidence{first}."
    yield from ("", "## Cost", "")
    yield f"{receipt['seconds']} s, {receipt['model_calls']} model calls, {tokens} tokens"
    if receipt["costs"]:
        yield from ("", "| state | calls | tokens in | tokens out |", "|---|---|---|---|")
    for each in receipt["costs"]:
        figures = (each["calls"], each["input_tokens"], each["output_tokens"])
        yield f"| {each['state']} | {' | '.join(map(str, figures))} |"


def quoted(text: str, longest: int = _LONGEST) -> str:
    """Return untrusted text on one line, as code, so that it is not read as Markdown."""
    line = _line(text)
    return f"`{line if len(line) <= longest else line[: longest - 1] + '…'}`"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("`", "'")


def _said(reason: Reason | None) -> str:
    """Return a reason on one line: what a model or an operator wrote may be part of it."""
    return _line(sentence(reason))
