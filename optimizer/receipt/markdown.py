"""A receipt told as a story that a sceptic can follow, in Markdown."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from selfheal.db.follow_ups import FollowUp
from selfheal.optimizer.outcomes import without_verdict
from selfheal.optimizer.state import on_diet

Record = dict[str, Any]

_MOST_RUNS = 8
_LONGEST = 100
_FENCE = "````"
_ORIGINS = {
    "proven": "proven better than the incumbent before",
    "last_good": "the last good version",
    "predecessor": "the version before the incumbent",
    "writer": "written",
    "gepa": "evolved by GEPA",
}
_EVIDENCE = (
    "The hold-out pairs that only one side passed, and the evidence after each. Of a candidate that"
    " is no better each is a fair coin, and it reaches 100 at most once in a hundred:"
)
_TRIMMED = (
    "Each was left out alone on a few train cases, the longest first; then all that nobody missed"
    " together, on others. The most that may go went to a gate; if rejected, half of it did:"
)


def as_markdown(record: Record, follow_ups: Sequence[FollowUp] = ()) -> str:
    """Tell a receipt, from what failed to what was done.

    Args:
        record: the receipt: what was decided when the healing was closed.
        follow_ups: the steps since then, oldest first.
    """
    tried = (_cases, _sentences, _release) if on_diet(record) else (_cases, _candidates, _release)
    parts = (_failures, _judge, _diagnosis, *tried, _cost)
    lines = [*_head(record, follow_ups), *(line for part in parts for line in part(record))]
    lines += ["", f"Recompute it: `selfheal healings show {record['healing_id']} --replay`."]
    return "\n".join(lines) + "\n"


def _head(record: Record, follow_ups: Sequence[FollowUp]) -> Iterator[str]:
    what = "Diet" if on_diet(record) else "Healing"
    now = follow_ups[-1]["outcome"] if follow_ups else record["outcome"]
    yield f"# {what} of the {record['agent']}: {now}"
    yield ""
    if follow_ups:
        yield f"- decided {record['closed_at'][:19]} UTC: {record['outcome']}: {record['reason']}"
    else:
        yield record["reason"]
    for each in follow_ups:
        at = f"{datetime.fromisoformat(each['at']).astimezone(UTC):%Y-%m-%dT%H:%M:%S} UTC"
        yield f"- then {at}, by {quoted(each['actor'])}: {each['outcome']}: {_line(each['reason'])}"
    yield ""
    opened = f"{record['opened_at'][:19]} UTC"
    yield f"- healing `{record['healing_id']}`, {record['trigger']}, {opened}"
    yield f"- version {record['from_version']} → {record['to_version'] or 'unchanged'}"


def _failures(record: Record) -> Iterator[str]:
    if on_diet(record):
        return
    yield from ("", "## What failed", "")
    errors = record["errors_counted_out"]
    yield (
        f"{len(record['failed_run_ids'])} runs, their code judged bad or unusable;"
        f" {errors} more ended by errors that no prompt mends."
    )
    if newest := record.get("newest_error"):
        why = quoted(f"{newest['outcome']}: {newest['message']}", 500)
        yield f"The newest of these, `{newest['run_id']}`, ended with {why}."
    shown = record["evidence"]
    if not shown:
        return
    yield from ("", f"The diagnosis saw {len(shown)} of them, of train cases alone:", "")
    for each in shown[:_MOST_RUNS]:
        failed = [check["name"] for check in each["checks"] if check["score"] < 1]
        why = f" ({', '.join(failed)})" if failed else ""
        judge = "" if each["judge"] is None else f", the judge gave {each['judge']:.2f}"
        yield f"- `{each['run_id']}` {each['outcome']}{why}{judge}: {quoted(each['request'])}"
    if len(shown) > _MOST_RUNS:
        yield f"- and {len(shown) - _MOST_RUNS} more"


def _judge(record: Record) -> Iterator[str]:
    judge = record["judge"]
    if not judge:
        return
    yield from ("", "## The judge", "")
    before = f", {judge['usual'][0]} of {judge['usual'][1]} before" if judge["usual"] else ""
    state = "it has drifted" if judge["drifted"] else "it is well"
    if judge["low"]:
        state = "nothing is known of it, and it agrees on fewer than any judge should"
    when = " earlier that day" if judge["fresh"] else ""
    yield (
        f"- the judge, {judge['model']} under prompt {judge['prompt_version']}, agrees on"
        f" {judge['agreed']} of {judge['asked']} golden verdicts{when}{before}: {state}"
    )


def _diagnosis(record: Record) -> Iterator[str]:
    findings = record["findings"]
    if not findings:
        return
    yield from ("", "## Diagnosis", "")
    for each in findings["patterns"]:
        yield f"- {each['description']} ({len(each['run_ids'])} runs)"
    yield from ("", f"Root causes (blamed: the {findings['blame']}):", "")
    yield from (f"- {each}" for each in findings["root_causes"])
    if because := findings.get("because"):
        yield from ("", f"Why the {findings['blame']}: {because['reason']}.")


def _cases(record: Record) -> Iterator[str]:
    split = record["split"]
    if not split:
        return
    yield from ("", "## Cases", "")
    sides = (("train", "train"), ("hold-out", "hold_out"), ("regression", "regression"))
    counted = ", ".join(f"{len(split[key])} {name}" for name, key in sides)
    yield f"{counted}; fingerprint `{split['fingerprint']}`."
    yield "The diagnosis and the screen see train alone, the gate the others alone."


def _candidates(record: Record) -> Iterator[str]:
    for each in record["candidates"]:
        yield from _candidate(each)
        for screen in record["screens"]:
            yield from _screened(screen, each["ordinal"])
        for gate in record["gates"]:
            if gate["ordinal"] == each["ordinal"]:
                yield from _gate(gate)


def _sentences(record: Record) -> Iterator[str]:
    """Tell a diet: what was tried without each sentence, and the gates of what was left."""
    if record["candidates"]:
        yield from ("", "## Sentences", "", _TRIMMED, "")
        yield from ("| | the prompt without | |", "|---|---|---|")
    gates = {each["ordinal"]: each for each in record["gates"]}
    for each in record["candidates"]:
        fates = {"": "may go", "accepted": "goes"}
        why = f"{fates.get(each['fate'], 'stays')}: {each['reason']}"
        sentence = quoted(each["rationale"]).replace("|", "/")
        yield f"| {each['ordinal']} | {sentence} | {why} |"
    for each in record["candidates"]:
        if gate := gates.get(each["ordinal"]):
            yield from ("", f"## Without: {quoted(each['rationale'], 400)}", "")
            yield from (f"{_FENCE}diff", each["diff"].replace(_FENCE, "'" * 4), _FENCE)
            yield from _harmless(gate)


def _harmless(gate: Record) -> Iterator[str]:
    yield from ("", f"### Gate: {gate['verdict']}", "", f"{gate['reason'].capitalize()}.")
    yield f"{gate['pairs']} pairs: {gate['gains']} gains, {gate['losses']} losses."
    yield from _figures(gate, "97.5 %")
    yield from _healed(gate)
    lost = [each for each in gate["course"] if _counts(each) and each["incumbent_passed"]]
    yield from (f"- lost: `{each['case_id']}`" for each in lost)


def _candidate(each: Record) -> Iterator[str]:
    origin = _ORIGINS[each["origin"]]
    fates = {"accepted": "accepted", "": "not tried"}
    fate = fates.get(each["fate"], f"fell at the {each['fate']}")
    yield from ("", f"## Candidate {each['ordinal']} ({origin}, round {each['round']}): {fate}")
    yield from ("", each["reason"] or "No more was done with it.", "")
    if each["rationale"]:
        yield from (f"Its author: {quoted(each['rationale'], 400)}", "")
    yield from (f"{_FENCE}diff", each["diff"].replace(_FENCE, "'" * 4), _FENCE)


def _screened(screen: Record, ordinal: int) -> Iterator[str]:
    for each in screen["results"]:
        if each["ordinal"] == ordinal:
            passed = f"passed {each['passed']} of {each['of']} train cases"
            rank = _rank(screen["survivor"], ordinal)
            yield from ("", f"Screen: {passed}, mean score {each['score']:.2f}; {rank}.")


def _rank(survivor: int | None, ordinal: int) -> str:
    if survivor == ordinal:
        return "the best, so it went to the gate"
    return f"candidate {survivor} did better" if survivor else "too few to go on"


def _gate(gate: Record) -> Iterator[str]:
    yield from ("", f"### Gate of candidate {gate['ordinal']}: {gate['verdict']}", "")
    counted = f"{gate['pairs']} pairs: {gate['gains']} gains, {gate['losses']} losses"
    yield f"{counted}; e-value {gate['e_value']:g}, accepted at 100."
    yield from _figures(gate, "95 %")
    yield from _healed(gate)
    decisive = [each for each in enumerate(gate["course"], 1) if _counts(each[1])]
    if decisive:
        yield from ("", _EVIDENCE, "", "| pair | case | counts as | e-value |", "|---|---|---|---|")
    for place, each in decisive:
        what = "gain" if each["candidate_passed"] else "loss"
        yield f"| {place} | `{each['case_id']}` | {what} | {each['e_value']:g} |"


def _healed(gate: Record) -> Iterator[str]:
    """Tell of each case that was healed before and seemed lost."""
    said = {True: "passed", False: "lost", None: "no verdict"}
    for each in gate["course"]:
        if each["again"]:
            takes = ", ".join(said[passed] for passed in each["again"])
            yield f"`{each['case_id']}` was healed before; lost, it was run again: {takes}."


def _figures(gate: Record, confidence: str) -> Iterator[str]:
    rates = f"incumbent {gate['incumbent_rate']:.0%}, candidate {gate['candidate_rate']:.0%}"
    yield f"Passed: {rates}."
    lower = "unknown" if gate["lower"] is None else f"{gate['lower']:+.3f}"
    difference = f"Score difference {gate['difference']:+.3f}"
    yield f"{difference}, {confidence} lower bound {lower} (above -0.10)."
    yield f"It stopped after {gate['asked']} cases: {gate['stopped']}."


def _counts(pair: Record) -> bool:
    """Tell whether a pair moved the e-value."""
    return bool(pair["hold_out"] and pair["incumbent_passed"] != pair["candidate_passed"])


def _release(record: Record) -> Iterator[str]:
    release = record["release"]
    if not release:
        return
    yield from ("", "## Release", "")
    done = {"release": "released to all threads", "canary": "released as a canary"}
    what = done.get(release["action"], "staged for a person")
    yield f"With `SELFHEAL_ROLLOUT={release['rollout']}`: {release['reason']}."
    if release["void"]:
        yield f"Not done, the proof is void: {release['void']}."
    else:
        yield f"Version {record['to_version']} was {what}."


def _cost(record: Record) -> Iterator[str]:
    tokens = record["input_tokens"] + record["output_tokens"]
    unjudged = record.get("unjudged")
    if unjudged and unjudged["count"]:
        yield from ("", "## Trials without a verdict", "")
        yield f"{quoted(without_verdict(unjudged), 600)}; they are no evidence."
    yield from ("", "## Cost", "")
    yield f"{record['seconds']} s, {record['model_calls']} model calls, {tokens} tokens"
    if record["costs"]:
        yield from ("", "| state | calls | tokens in | tokens out |", "|---|---|---|---|")
    for each in record["costs"]:
        figures = (each["calls"], each["input_tokens"], each["output_tokens"])
        yield f"| {each['state']} | {' | '.join(map(str, figures))} |"


def quoted(text: str, longest: int = _LONGEST) -> str:
    """Return a stranger's words on one line, as code, so that they are read as nothing else."""
    line = _line(text)
    return f"`{line if len(line) <= longest else line[: longest - 1] + '…'}`"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("`", "'")
