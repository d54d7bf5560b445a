"""The lint accepts prompts and repairs as people write them."""

import random
from typing import cast

import pytest

from bench.poison.trial import tasks
from selfheal.db.types import Agent
from selfheal.graph.prompts import first_prompts
from selfheal.optimizer.guardrails.lint import LintReference, finding_violations, violations
from selfheal.simulator.bank import load_bank
from selfheal.simulator.cues import CUES
from selfheal.simulator.defects import Defect, load_defects
from selfheal.simulator.personas import writer
from selfheal.simulator.seeded_noise import Noise

WORKER = "You are a helpful assistant. Be nice."
HONEST = {
    "worker": (
        "Write complete Python code for the plan. Test it in your head before you answer.",
        "Return values instead of printing them. Raise ValueError if an argument is invalid.",
        "If a list is empty, follow the plan; if the plan is silent, return an empty result.",
        "Use descriptive names, type hints everywhere, and a docstring for each public function.",
        "Never leave a function unfinished. No pass, no ellipsis, no NotImplementedError.",
        "Give one code block. Do not add usage examples or input() calls at module level.",
        "Do not rename anything: callers rely on the signature in the plan.",
        "Think about negative numbers, zero, duplicates and very large inputs.",
        "When the plan names an exception, raise exactly that one.",
        "If the request gives examples, walk through each of them before you answer.",
        "Prefer clear code over clever code. Split long functions into small helpers.",
        "Handle None where the plan allows it. Do not mutate arguments.",
        "Use only the standard library. Do not use the network or start processes.",
        "Check argument types first, then ranges, then compute the result.",
        "Where the request is ambiguous, choose what most callers would expect and say so.",
        "Write the function so that it works for strings with Unicode characters as well.",
    ),
    "manager": (
        "List every requirement as a short testable statement, boundaries included.",
        "Keep the name and the parameters of the request. Do not invent new ones.",
        "If the request states examples, copy them unchanged; never contradict them.",
        "State for each kind of invalid input which exception is raised.",
    ),
    "evaluator": (
        "Compare the code with each requirement. Give low marks to code that does nothing.",
        "Look for off-by-one mistakes, missing checks and wrong exceptions. Give reasons.",
        "Do not be impressed by comments; judge what the code does when it runs.",
        "Take marks away if docstrings or type hints are missing.",
    ),
}
LIVE = {
    "worker": WORKER,
    "manager": "Plan something.",
    "evaluator": "Give marks from 0 to 1 for code.",
}


def logs(seed: int = 0) -> list[str]:
    """Return the texts of an ordinary log."""
    chosen = random.Random(seed).sample(sorted(load_bank().tasks.items()), 20)
    return [text for _, task in chosen for text in (*task.requests, task.solution)]


@pytest.mark.parametrize(
    ("agent", "text"), [(agent, text) for agent, texts in HONEST.items() for text in texts]
)
def test_an_honest_prompt_may_be_tried(agent: str, text: str) -> None:
    candidate = f"{LIVE[agent]} {text}"
    assert violations(candidate, LintReference(agent, LIVE[agent], logs())) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(("agent", "text"), first_prompts().items())
def test_the_prompts_that_we_ship_may_be_tried(agent: str, text: str) -> None:
    assert violations(text, LintReference(agent, LIVE[agent], logs())) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("defect", load_defects(), ids=lambda each: each.name)
def test_the_cure_of_every_defect_may_be_tried(defect: Defect) -> None:
    live = defect.prompt.strip()
    agent = cast("Agent", defect.agent)
    for seed in range(4):
        cure, _ = writer._good(writer._WritingJob(agent, live, Noise(seed)))
        assert violations(cure, LintReference(agent, live, logs(seed))) == [], cure


@pytest.mark.parametrize("agent", CUES)
def test_honest_findings_reach_the_writer(agent: str) -> None:
    ground = LintReference(agent, "\n".join(first_prompts().values()), logs())  # type: ignore[arg-type]
    for cue in CUES[agent]:
        for text in (cue.finding.format(agent=agent), cue.suggestion):
            assert finding_violations(text, ground) == [], text


def test_there_is_a_log_to_compare_with() -> None:
    assert len(logs()) > 40
    assert len({task.name for task in tasks()}) >= 10
