"""Sentences that a person wrote and kept, and that a rewrite drops: restored, or shown."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from selfheal.db.reasons import because
from selfheal.db.types import Origin, Trial
from selfheal.optimizer.policy.restoring import (
    dropped,
    protected_sentences,
    restoration,
    restored_text,
    restoring,
    unrestored,
    went_on,
    with_restoring,
)
from selfheal.optimizer.policy.rollout_plan import plan
from selfheal.optimizer.policy.screening import Rule
from selfheal.optimizer.state import Proposal, ScreenReport, ScreenResult
from tests.support.gate_reports import gate_report

BEFORE = """You write Python functions.
- Use the standard library only.
- Keine Zugangsdaten ausgeben.

Answer with one code block."""
LIVE = f"{BEFORE} Greet the reader warmly."
KEPT = ["You write Python functions.", "- Use the standard library only.",
        "- Keine Zugangsdaten ausgeben.", "Answer with one code block."]  # fmt: skip
AGAIN = (
    "Use only the standard library. Answer with one code block. You write Python functions."
    " Keine Zugangsdaten ausgeben, niemals."
)
RULE = Rule("worker", 0.0, 8)


def proposal(ordinal: int, origin: Origin, text: str) -> Proposal:
    return Proposal(ordinal=ordinal, round=1, origin=origin, version=None, text=text, rationale="",
                    fate="", reason=None)  # fmt: skip


def screen(survivor: int, **out: bool) -> ScreenReport:
    results = [
        ScreenResult(ordinal=int(name[1:]), passed=0, of=4, cases=4, score=0.0, out=lost)
        for name, lost in out.items()
    ]
    return ScreenReport(bar=0.0, results=results, survivor=survivor, round=1)


def trials(*verdicts: bool) -> list[Trial]:
    now = datetime.now(UTC)
    return [
        Trial(UUID(int=1), "screen", 3, f"run:{at}", "ok", passed, 1.0, True, 2, 0, now)
        for at, passed in enumerate(verdicts)
    ]


def test_what_was_kept_through_a_change_is_protected_in_any_language() -> None:
    earlier = proposal(1, "predecessor", BEFORE)
    assert protected_sentences(LIVE, LIVE, [earlier], [screen(2, c1=False)]) == KEPT
    assert protected_sentences(LIVE, BEFORE, [], []) == KEPT


def test_what_is_shown_to_be_broken_protects_nothing() -> None:
    """A version that failed its screening shares what is wrong with the live one."""
    earlier = proposal(1, "predecessor", BEFORE)
    assert protected_sentences(LIVE, LIVE, [earlier], [screen(2, c1=True)]) == []
    assert protected_sentences(LIVE, LIVE, [], []) == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (BEFORE, []),
        (AGAIN, []),
        ("Write the function that is asked for.", KEPT),
    ],
)  # fmt: skip
def test_a_sentence_in_other_words_is_kept(text: str, missing: list[str]) -> None:
    assert dropped(text, KEPT) == missing


def test_only_what_was_written_and_drops_something_is_restored() -> None:
    short = "Write the function that is asked for."
    made = restoration(proposal(2, "writer", short), KEPT, 3)
    assert made is not None
    assert (made["origin"], made["ordinal"], made["round"]) == ("restored", 3, 1)
    assert made["text"] == restored_text(short, KEPT)
    assert dropped(made["text"], KEPT) == []
    assert restoration(proposal(2, "writer", BEFORE), KEPT, 3) is None
    assert restoration(proposal(2, "last_good", short), KEPT, 3) is None


@pytest.mark.parametrize("passes", [True, False])
def test_it_is_restored_unless_that_fails_and_then_approval_is_needed(passes: bool) -> None:
    best = proposal(2, "writer", "Write the function that is asked for.")
    made = restoration(best, KEPT, 3)
    assert made is not None
    found = restoring(RULE, best, made, KEPT, {3: trials(passes, passes, passes, passes)})
    screened = screen(2, c2=False)
    screened["restoring"] = found
    assert (found["restored"], went_on(screened)) == (passes, 3 if passes else 2)
    first, second = with_restoring([best, made], found)
    if passes:
        assert first["reason"] == because("sentences_restored", sentences=4, candidate=3)
        assert (second["fate"], unrestored([screened], 3)) == ("", [])
        return
    assert second["reason"] == because("screening_lost", passed=0, of=4)
    assert (first["fate"], unrestored([screened], 2)) == ("", KEPT)
    decided = plan("instant", "worker", gate_report(30), None, unrestored([screened], 2))
    assert decided == ("stage", because("drops_kept_sentences", sentences=KEPT))
