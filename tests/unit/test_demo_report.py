"""The demo's report: one failing run's class and message, and a chart that all can read."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from rich.console import Console

from selfheal.db.reasons import because
from selfheal.server.demo.chart import chart
from selfheal.server.demo.measure import DemoRun, PhaseResult, measure
from selfheal.server.demo.play import DemoResult
from selfheal.server.demo.report import write
from selfheal.server.demo.show import show

GOOD = DemoRun("slugify", "ok", 0.97, "well done", 2)
BAD = DemoRun("slugify", "failed", 0.18, "says hello world", 1)
GONE = DemoRun("slugify", "infrastructure", 0.0, "google_genai:x: rate limit")


def result(before: list[DemoRun], after: list[DemoRun] | None = None, **more: Any) -> DemoResult:
    found = DemoResult(
        model="SIMULATED-x",
        before=PhaseResult(tuple(before)),
        healing={
            "agent": None,
            "outcome": "healthy",
            "reason": because("few_failures", failures=0, needed=3),
        },
        receipt=None,
        after=PhaseResult(tuple(after)) if after is not None else None,
        unseen=None,
        prompt="p",
    )
    return replace(found, **more)


def test_a_run_without_a_verdict_is_shown_before_a_bad_one() -> None:
    assert PhaseResult((GOOD, BAD, GONE)).failing == GONE
    assert PhaseResult((GOOD, BAD)).failing == BAD
    assert PhaseResult((GOOD,)).failing is None


@pytest.mark.parametrize(
    "told",
    [
        result([BAD, GONE]),
        result([BAD, BAD], [GOOD, GONE]),
        result([BAD], [GOOD], unseen=PhaseResult((GONE, GOOD))),
    ],
    ids=["before", "after", "unseen"],
)
def test_whichever_phase_fails_each_form_of_the_report_says_why(
    told: DemoResult, tmp_path: Path
) -> None:
    console = Console(record=True, width=300)
    show(console, told)
    text, data, _ = write(told, tmp_path, 0.6)
    for shown in (console.export_text(), text.read_text()):
        assert "infrastructure: google_genai:x: rate limit" in shown
    phases = json.loads(data.read_text())
    failing = [each["failing_run"] for each in phases.values() if isinstance(each, dict) and
               each.get("failing_run")]  # fmt: skip
    assert {"outcome": GONE.outcome, "message": GONE.message, "request": "slugify"} in failing


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (httpx.Response(503, json={"detail": "the database cannot be reached now"}), "unanswered",
         "HTTP 503: the database cannot be reached now"),
        (httpx.Response(502, text="<html>"), "unanswered", "no answer: JSONDecodeError"),
        (httpx.ReadTimeout("late"), "unanswered", "no answer: ReadTimeout"),
        (httpx.Response(200, json={"run_id": "x"}), "unanswered", "stopped before its verdict"),
        (httpx.Response(200, json={"__error__": {"error": "model", "message": "gone\x1b[2J\n!"}}),
         "model", "gone\N{REPLACEMENT CHARACTER}[2J !"),
        (httpx.Response(200, json={"__error__": {"error": "model", "message": "x" * 9999}}),
         "model", "x" * 499 + "…"),
    ],
)  # fmt: skip
async def test_whatever_comes_of_a_request_it_is_an_answer(
    answer: httpx.Response | Exception, outcome: str, words: str
) -> None:
    def reply(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    transport = httpx.MockTransport(reply)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        found = await measure(client, [{"request": "slugify", "examples": []}], lambda _: None)
    [run] = found.runs
    assert (run.outcome, run.passed, run.score) == (outcome, False, 0.0)
    assert words in run.message


def drawn(told: DemoResult) -> ET.Element:
    return ET.fromstring(chart(told, 0.6))


def test_the_chart_can_be_read_without_seeing_it() -> None:
    told = drawn(result([BAD] * 3, [GOOD] * 2))
    assert told.get("role") == "img"
    title, description = told.find("{*}title"), told.find("{*}desc")
    assert title is not None
    assert description is not None
    assert told.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text == "SIMULATED: every run of the demo, SIMULATED-x"
    assert "before: 0 of 3 runs passed, average score 0.18" in str(description.text)
    assert "after: 2 of 2 runs passed" in str(description.text)
    marks = [each.text for each in told.findall(".//{*}path/{*}title")]
    assert marks == ["before, failed, score 0.18"] * 3 + ["after, ok, score 0.97"] * 2


def test_phases_differ_in_colour_and_in_shape() -> None:
    groups = drawn(result([BAD], [GOOD], unseen=PhaseResult((GOOD,)))).findall("{*}g")
    looks = {(group.get("fill"), path.get("d")) for group in groups for path in group}
    colours, shapes = {look[0] for look in looks}, {look[1] for look in looks}
    assert (len(looks), len(colours), len(shapes)) == (3, 3, 3)


def test_a_better_score_is_drawn_higher_and_nothing_outside() -> None:
    told = drawn(
        result([replace(BAD, score=score) for score in (0.0, 0.5, 1.0)] * 70, [GOOD] * 210)
    )
    places = [
        tuple(map(float, str(each.get("transform"))[10:].partition(")")[0].split()))
        for each in told.findall(".//{*}path")
    ]
    assert places[0][1] > places[1][1] > places[2][1]
    assert all(0 < x < 900 and 0 < y < 420 for x, y in places)


def test_no_model_name_breaks_the_chart() -> None:
    name = '<script>&"\x00\x1b\ud800' + "x" * 500
    told = drawn(result([BAD], model=name))
    assert told.findall(".//{*}script") == []
    title = told.find("{*}title")
    assert title is not None
    assert len(str(title.text)) < 100


def test_the_chart_asks_for_nothing_from_elsewhere() -> None:
    text = chart(result([BAD], [GOOD]), 0.6)
    assert text.count("http") == text.count('xmlns="http://www.w3.org/2000/svg"') == 1
    assert len(text.encode()) < 4000
