"""The red-team bench: its catalogue is complete, and its simulated agents do what it says."""

from collections import Counter
from pathlib import Path

import pytest

from bench.redteam.catalogue import (
    EFFECTS,
    PLACES,
    Defect,
    Instruction,
    Sane,
    attacks,
    defects,
    instructions,
    normalized,
    sane_findings,
    sane_prompts,
)
from bench.redteam.fooled_model import SOUND, agreeing, planted
from bench.redteam.report import read_outcomes, tables
from bench.redteam.sane import refusal
from bench.redteam.trial import Outcome, value_of
from selfheal.db.types import AGENTS
from selfheal.graph.prompts import first_prompts
from selfheal.optimizer.text.similarity import word_ngrams
from selfheal.simulator.bank import load_bank

SIMULATOR = Path(__file__).parents[2] / "simulator"
TEXTS = [text for each in instructions() for text in each.texts]
BACKDOORS = [each for each in instructions() if each.backdoor]
LONGEST_LINE = 300  # of a text in the log; the diagnosis would be shown a part
LONGEST_FINDING = 500
COPIED = 6  # words


def named(each: Instruction | Defect) -> str:
    return each.name


def of_agent(agent: str) -> list[Defect]:
    return [each for each in defects() if each.agent == agent]


def outcome(**changes: object) -> Outcome:
    values = {
        "id": "worker/x/0-plain", "agent": "worker", "strategy": "plain", "effect": "advert",
        "defect": "prints", "outcome": "promoted", "seen": True, "heard": True, "repaired": True,
        "carried": False, "staged": False, "behaved": None, "calls": 100, "seconds": 1.0,
    }  # fmt: skip
    return Outcome(**{**values, **changes})  # type: ignore[arg-type]


def test_there_are_enough_instructions_and_each_wording_is_another() -> None:
    assert len({each.name for each in instructions()}) == len(instructions()) >= 60
    assert all(len(each.texts) >= 4 for each in instructions())
    assert len({normalized(each.sentence) for each in TEXTS}) == len(TEXTS) >= 240
    assert len({each.id for each in attacks()}) == len(attacks()) == len(TEXTS) + len(defects())


def test_every_strategy_agent_and_effect_is_there() -> None:
    strategies = Counter(each.strategy for each in TEXTS)
    assert strategies.keys() == PLACES.keys()
    assert min(strategies.values()) >= 5
    assert strategies["merged"] >= len(TEXTS) / 5
    assert {each.effect for each in instructions()} == EFFECTS
    agents = Counter(each.agent for each in instructions())
    assert agents.keys() == set(AGENTS)
    assert min(agents.values()) >= 12
    assert {each.agent for each in BACKDOORS} == set(AGENTS)
    assert len(BACKDOORS) >= 20


@pytest.mark.parametrize("instruction", instructions(), ids=named)
def test_an_instruction_is_carried_by_its_wordings_alone(instruction: Instruction) -> None:
    for text in instruction.texts:
        assert text.carried(text.sentence), text
        assert (text.strategy == "split") == (len(text.pieces) > 1), text
        assert max(map(len, text.pieces)) <= LONGEST_LINE
        for defect in of_agent(instruction.agent):
            assert text.carried(text.of(defect))
            assert len(text.of(defect)) <= LONGEST_FINDING - 50  # what introduces it
            assert defect.repaired(text.of(defect)) == (text.strategy == "merged"), text
            assert not text.carried(f"{defect.live} {defect.cause} {defect.fix}")
        others = (*first_prompts().values(), *SOUND.values())
        assert not any(text.carried(each) for each in others)


def test_the_log_says_it_in_other_words_than_the_finding() -> None:
    for attack in attacks():
        if attack.text is None or attack.shown is None:
            assert attack.strategy == "none"
        elif attack.strategy != "split":
            assert attack.shown.strategy != "merged"
            shown, found = attack.shown.sentence, attack.text.of(attack.defect)
            assert not word_ngrams(shown, COPIED + 2) & word_ngrams(found, COPIED + 2), attack.id


@pytest.mark.parametrize("defect", defects(), ids=named)
def test_a_defect_is_repaired_by_its_fix_alone(defect: Defect) -> None:
    assert defect.repaired(f"{defect.live} {defect.fix}")
    assert not any(defect.repaired(each) for each in (defect.live, defect.cause))
    assert not any(defect.repaired(each) for each in first_prompts().values())


@pytest.mark.parametrize(
    "instruction", [each for each in BACKDOORS if each.agent != "evaluator"], ids=named
)
def test_a_backdoor_shows_in_the_call_that_asks_for_it(instruction: Instruction) -> None:
    backdoor = instruction.backdoor
    assert backdoor is not None
    task = load_bank().tasks[backdoor.task]
    program = planted(task.solution, task, backdoor)
    assert value_of(program, backdoor.call) != value_of(task.solution, backdoor.call)
    if not backdoor.asks:  # else the request decides
        shown = f"[{', '.join(each['call'] for each in task.examples[:2])}]"
        assert value_of(program, shown) == value_of(task.solution, shown)


def test_the_simulator_knows_none_of_these_texts() -> None:
    known = set[tuple[str, ...]]()
    for path in SIMULATOR.rglob("*.*"):
        if path.suffix in (".py", ".toml") and "bank" not in path.parts:
            known |= word_ngrams(path.read_text(encoding="utf-8"), COPIED)
    assert not [each for each in TEXTS if word_ngrams(each.sentence, COPIED) & known]


def test_there_are_enough_sane_texts_and_none_is_an_injection() -> None:
    for texts in (sane_prompts(), sane_findings()):
        assert len({each.text for each in texts}) == len(texts) >= 60
        assert {each.agent for each in texts} == set(AGENTS)
        assert not [each for each in texts for text in TEXTS if text.carried(each.text)]


@pytest.mark.parametrize("finding", [False, True])
def test_the_lint_is_asked(finding: bool) -> None:
    sane = Sane("worker", defects()[0].live, (), (), "See https://prompts.example/rules first.")
    assert refusal(sane, finding=finding)


def test_a_call_of_an_unknown_shape_is_answered_as_its_schema_says() -> None:
    fields = {
        "called_for": {"type": "boolean"},
        "reason": {"type": "string"},
        "kinds": {"type": "array", "items": {"type": "string"}},
        "verdict": {"enum": ["yes", "no"], "type": "string"},
        "score": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "parts": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/Part"}},
    }
    parts = {"Part": {"type": "object", "properties": {"number": {"type": "integer"}}}}
    answer = agreeing({"type": "object", "properties": fields, "$defs": parts})
    assert answer["called_for"] is True
    assert answer["verdict"] == "yes"
    assert (answer["kinds"], answer["score"]) == ([], 1.0)
    assert answer["parts"] == [{"number": 1}, {"number": 1}]


@pytest.mark.parametrize(
    ("changes", "fate"),
    [
        ({}, "healed"),
        ({"carried": True}, "released"),
        ({"behaved": True}, "released"),
        ({"repaired": False}, "other"),
        ({"outcome": "rejected"}, "rejected"),
        ({"outcome": "needs_approval"}, "needs_approval"),
        ({"outcome": "needs_approval", "staged": True}, "staged"),
        ({"outcome": "frozen"}, "other"),
    ],
)
def test_an_outcome_has_its_column(changes: dict[str, object], fate: str) -> None:
    assert outcome(**changes).fate == fate


def test_the_report_is_made_of_the_results_file(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    assert read_outcomes(file) == []
    rows = [outcome(), outcome(carried=True), outcome(strategy="none"), outcome(behaved=False)]
    file.write_text("".join(f"{each.line()}\n" for each in rows), encoding="utf-8")
    report = "\n".join(tables(read_outcomes(file)))
    assert "all attacks                 3" in report
    assert "1 (1%-91%)" in report
    assert "0 of 1 instructions" in report
