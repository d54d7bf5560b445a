"""Whether to open a healing: runs fail more often than usual, and it is not too soon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from selfheal.db.reasons import Code, Reason, because
from selfheal.db.types import Agent
from selfheal.optimizer.records.cases import Count, Version
from selfheal.optimizer.records.detection import Detection, DetectionRule, NewestError, PassRecord
from selfheal.optimizer.state import Outcome
from selfheal.optimizer.statistics import FailureEvidence, failure_evidence
from selfheal.optimizer.text.sentences import split_sentences

GOOD_RATE: Final = 0.8
ENOUGH_RUNS: Final = 5
MOST_RUNS: Final = 1000  # that detection reads
MOST_FAILURES: Final = 200  # that the healing reads
OPEN_AT: Final = 100  # counted from the release
OPEN_AT_CHANGE: Final = 2000  # counted from any later run: there are many to count from
YOUNG_RATE: Final = 0.2  # the failure rate that is usual as long as nothing is known
TOLERANCE: Final = 1.5  # times the good version's failure rate are no fault yet
PRIOR_RUNS: Final = 20  # runs at YOUNG_RATE that a good version's own are added to
SURGE_AT: Final = 1000
EVIDENCE: Final[Mapping[DetectionRule, tuple[Code, int]]] = {
    "release": ("fails_since_release", OPEN_AT),
    "change": ("fails_since_change", OPEN_AT_CHANGE),
    "surge": ("failures_surged", SURGE_AT),
    "none": ("failures_not_unusual", OPEN_AT_CHANGE),
}
FIRST_WAIT: Final = timedelta(hours=1)
LONGEST_WAIT: Final = timedelta(hours=24)
WAIT_AFTER_ERROR: Final = timedelta(minutes=10)


class Limits(Protocol):
    """The settings that detection depends on."""

    @property
    def failure_threshold(self) -> int:
        """The least number of failures."""

    @property
    def failure_window_minutes(self) -> int:
        """Within which so many failures suffice where no run passed."""

    @property
    def heal_daily_calls(self) -> int:
        """Model calls a day that healings may make."""


class Record(NamedTuple):
    """How many of a version's runs have a verdict, and how many of these passed."""

    runs: int
    passed: int


class CountableRun(NamedTuple):
    """A run that a prompt can influence: whether it failed, and when it ended."""

    failed: bool
    ended: datetime


@dataclass(frozen=True, slots=True)
class PastHealing:
    """A closed healing of a live version that released nothing.

    Attributes:
        seen: how many of the runs that it looked at failed, of how many.
        kept: it kept a candidate.
    """

    closed_at: datetime
    errored: bool
    seen: Count = (0, 0)
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """What detection decides on.

    Attributes:
        runs: those that a prompt can influence, under the live versions since they went live,
            oldest first; the newest 1,000 at most.
        errors: how many runs of the failure window ended without a verdict.
        newest_error: the newest of them.
        records: of manager and worker, how each version has done.
        tried: newest first.
        calls_today: model calls reserved in 24 hours.
    """

    runs: Sequence[CountableRun]
    errors: int
    records: Mapping[Agent, Mapping[int, Record]]
    tried: Sequence[PastHealing]
    now: datetime
    newest_error: NewestError | None = None
    calls_today: int = 0


class NoHealing(NamedTuple):
    """The outcome where no healing is to be opened, and why."""

    outcome: Outcome
    reason: Reason


class Decision(NamedTuple):
    """What detection found, and why no healing is to be opened; None if one is."""

    detection: Detection
    no_healing: NoHealing | None


def decide(situation: Situation, limits: Limits) -> Decision:
    """Decide whether a healing is to be opened."""
    found = _detect(situation, limits)
    if found["rule"] == "none":
        return Decision(found, _nothing_to_heal(situation, found))
    if spent := budget_exhausted(situation, limits):
        return Decision(found, NoHealing("cooling_down", spent))
    if waiting := cooling_down(situation, limits):
        surge = _surge(situation, limits)
        if surge["rule"] == "none":
            return Decision(found, NoHealing("cooling_down", waiting))
        return Decision(surge, None)
    return Decision(found, None)


def _detect(situation: Situation, limits: Limits) -> Detection:
    since = situation.now - timedelta(minutes=limits.failure_window_minutes)
    return assess(
        _outcomes(situation.runs),
        recent=sum(run.failed and run.ended > since for run in situation.runs),
        threshold=limits.failure_threshold,
        usual=usual_record(situation.records),
    )


def _surge(situation: Situation, limits: Limits) -> Detection:
    last = situation.tried[0]
    return assess_surge(
        _outcomes([run for run in situation.runs if run.ended > last.closed_at]),
        threshold=limits.failure_threshold,
        usual=usual_record(situation.records),
        before=last.seen,
    )


def _outcomes(runs: Sequence[CountableRun]) -> str:
    return "".join("0" if run.failed else "1" for run in runs)


def assess(outcomes: str, *, recent: int, threshold: int, usual: PassRecord | None) -> Detection:
    """Assess the runs of the live versions.

    Args:
        outcomes: of the runs, oldest first: `1` passed, `0` failed.
        recent: how many failed within the failure window.
        threshold: the least number of failures.
        usual: the record of the last good version; None if there is none.
    """
    rate = usual_failure_rate(usual)
    evidence = failure_evidence([each == "0" for each in outcomes], rate)
    rule = _rule(outcomes, recent, threshold, evidence)
    return _detection(
        rule, outcomes, evidence, rate, recent=recent, threshold=threshold, usual=usual
    )


def assess_surge(
    outcomes: str, *, threshold: int, usual: PassRecord | None, before: Count
) -> Detection:
    """Assess the runs since a healing that released nothing: whether much more fails than before.

    Args:
        outcomes: of the runs since it was closed, oldest first: `1` passed, `0` failed.
        threshold: the least number of failures.
        usual: the record of the last good version; None if there is none.
        before: how many of the runs that it looked at failed, of how many.
    """
    failures, runs = before
    rate = max(YOUNG_RATE, (failures + 1) / (runs + 2))
    evidence = failure_evidence([each == "0" for each in outcomes], rate)
    surged = _enough(outcomes, evidence, threshold) and evidence.from_change >= SURGE_AT
    rule: DetectionRule = "surge" if surged else "none"
    return _detection(
        rule, outcomes, evidence, rate, threshold=threshold, usual=usual, before=before
    )


def _rule(outcomes: str, recent: int, threshold: int, evidence: FailureEvidence) -> DetectionRule:
    """Return the first rule by which a healing is to be opened."""
    failures = outcomes.count("0")
    if failures == len(outcomes) and (recent >= threshold or failures > threshold):
        return "no_pass"
    complete = len(outcomes) < MOST_RUNS  # else the first of them is not the first of all
    if complete and failures >= threshold and evidence.from_first >= OPEN_AT:
        return "release"
    if _enough(outcomes, evidence, threshold) and evidence.from_change >= OPEN_AT_CHANGE:
        return "change"
    return "none"


def _enough(outcomes: str, evidence: FailureEvidence, threshold: int) -> bool:
    return outcomes.count("0", len(outcomes) - evidence.runs) >= threshold


def _detection(
    rule: DetectionRule,
    outcomes: str,
    evidence: FailureEvidence,
    rate: float,
    *,
    recent: int = 0,
    threshold: int,
    usual: PassRecord | None,
    before: Count | None = None,
) -> Detection:
    e_value = evidence.from_first if rule == "release" else evidence.from_change
    # Of a service that works as usual, and is healed by force, any failure may be read.
    window = evidence.runs if rule in ("change", "surge") else len(outcomes)
    failures = outcomes.count("0", len(outcomes) - window)
    if failures < threshold:
        reason = because("few_failures", failures=failures, needed=threshold)
    elif rule == "no_pass":
        reason = because("no_run_passed", runs=len(outcomes))
    else:
        code, needed = EVIDENCE[rule]
        reason = because(
            code,
            failures=failures,
            runs=window,
            e_value=e_value,
            needed=needed,
            usual_rate=round(rate, 4),
        )
    return Detection(
        rule=rule,
        outcomes=outcomes,
        runs=len(outcomes),
        failures=outcomes.count("0"),
        recent=recent,
        threshold=threshold,
        usual=usual,
        before=before,
        usual_rate=round(rate, 4),
        e_value=e_value,
        window=window,
        reason=reason,
    )


def failures_to_read(detection: Detection) -> int:
    """Return how many failed runs of the window a healing reads: the newest."""
    outcomes = detection["outcomes"]
    failures = outcomes.count("0", len(outcomes) - detection["window"])
    return min(failures, MOST_FAILURES)


def usual_failure_rate(usual: PassRecord | None) -> float:
    """Return the failure rate above which there is a fault: .2 at most, and if nothing is known.

    It is half as much again as that of the last good version, whose runs are added to 20 runs at
    .2: a few runs that happened to pass are no standard yet.
    """
    if usual is None:
        return YOUNG_RATE
    failures = usual["runs"] - usual["passed"] + YOUNG_RATE * PRIOR_RUNS
    return min(YOUNG_RATE, TOLERANCE * failures / (usual["runs"] + PRIOR_RUNS))


def _nothing_to_heal(situation: Situation, found: Detection) -> NoHealing:
    """Return why nothing is opened where no rule applies."""
    failures, threshold, newest = found["recent"], found["threshold"], situation.newest_error
    if not failures < threshold <= failures + situation.errors:
        return NoHealing("healthy", found["reason"])
    reason = because(
        "not_the_prompt",
        errors=situation.errors,
        failures=failures,
        newest=newest
        and because("run_failed", outcome=newest["outcome"], message=newest["message"]),
    )
    return NoHealing("not_the_prompt", reason)


def decide_shortening(
    agent: Agent, live: Version, situation: Situation, limits: Limits, *, shortened: bool
) -> NoHealing | None:
    """Return why a version is not to be shortened; None if it may be.

    Args:
        agent: whose prompt it is.
        live: the version.
        situation: of which only the budget matters.
        limits: the day's budget.
        shortened: it was shortened before, or is the result of that.
    """
    version = live["version"]
    if len(split_sentences(live["text"], 2)) < 2:
        return NoHealing("healthy", because("single_sentence", agent=agent, version=version))
    if shortened:
        reason = because("already_shortened", agent=agent, version=version)
        return NoHealing("cooling_down", reason)
    if spent := budget_exhausted(situation, limits):
        return NoHealing("cooling_down", spent)
    return None


def cooling_down(situation: Situation, limits: Limits) -> Reason | None:
    """Return why it is too early to try again for this incumbent; None if it is not.

    After a rejection: an hour, doubling to a day, and as many new failures as the threshold.
    """
    if not situation.tried:
        return None
    last = situation.tried[0]
    rejections = sum(not healing.errored for healing in situation.tried)
    wait = (
        WAIT_AFTER_ERROR
        if last.errored
        else LONGEST_WAIT  # its candidate is tried as soon as there are cases: see collecting.py
        if last.kept
        else min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(rejections - 1, 5))
    )
    if situation.now < last.closed_at + wait:
        return because("cooling_down", until=(last.closed_at + wait).isoformat())
    new = sum(run.failed and run.ended > last.closed_at for run in situation.runs)
    if new < limits.failure_threshold:
        return because("few_new_failures", failures=new)
    return None


def last_good(record: Mapping[int, Record], incumbent: int) -> int | None:
    """Return the newest other version that did well; None if there is none."""
    return max((v for v, seen in record.items() if v != incumbent and _is_good(seen)), default=None)


def budget_exhausted(situation: Situation, limits: Limits) -> Reason | None:
    """Return the reason if the day's model calls are used up; else None."""
    if situation.calls_today < limits.heal_daily_calls:
        return None
    return because("daily_budget_exhausted", calls=limits.heal_daily_calls)


def usual_record(records: Mapping[Agent, Mapping[int, Record]]) -> PassRecord | None:
    """Return the record to compare with: of each agent's last good version, the better one."""
    found = [
        PassRecord(agent=agent, version=version, runs=record.runs, passed=record.passed)
        for agent, of_agent in records.items()
        if (version := _newest_good(of_agent)) is not None and (record := of_agent[version])
    ]
    return min(found, key=usual_failure_rate, default=None)


def _newest_good(record: Mapping[int, Record]) -> int | None:
    return max((version for version, seen in record.items() if _is_good(seen)), default=None)


def _is_good(record: Record) -> bool:
    return record.runs >= ENOUGH_RUNS and record.passed / record.runs >= GOOD_RATE
