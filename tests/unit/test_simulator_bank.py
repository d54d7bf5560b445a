"""The bank: the format of its files, and the search for the task of a request."""

from pathlib import Path

import pytest

from selfheal.optimizer.dataset.cases import golden_requests
from selfheal.optimizer.records.cases import Case
from selfheal.simulator.bank import load_bank
from selfheal.simulator.plan import asked_name
from selfheal.simulator.solution_matching import StatedExample
from selfheal.simulator.tasks import BankError

TASK = '''
[[task]]
name = "count_vowels"
requests = ["Write count_vowels(text): the number of vowels in a text; ValueError if it is empty.",
  "How many of the letters a, e, i, o, u does a text contain? Empty text is an error."]
solution = """
def count_vowels(text: str) -> int:
    \\"\\"\\"Count the vowels.\\"\\"\\"
    if not text:
        raise ValueError("empty")
    return sum(letter in "aeiou" for letter in text.lower())
"""
examples = [ { call = "count_vowels('Audi')", returns = "3" },
  { call = "count_vowels('')", raises = "ValueError" } ]
'''


def write(folder: Path, text: str) -> Path:
    (folder / "tasks.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_task_is_found_by_name_by_its_words_and_not_by_others(tmp_path: Path) -> None:
    bank = load_bank(write(tmp_path, TASK))
    task = bank.tasks["count_vowels"]
    assert bank.find("Please write count_vowels for me") is task
    assert bank.find("Anything", '{"signature": "count_vowels(text: str) -> int"}') is task
    assert bank.find("How many vowels (letters a, e, i, o, u) are contained in an empty text?")
    assert bank.find("Train a neural network on pictures of cats") is None
    assert bank.find("") is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "count_vowels"', "name = 3", "task 1: `name` must be a str"),
        ('name = "count_vowels"', "", "`name` must be a str"),
        ("requests = [", "other = [", "`requests` must be a list"),
        ('"Write count', '"", "Write count', "every request must be a text"),
        ("def count_vowels", "def count_words", "no function or class count_vowels"),
        ("-> int:", "-> int", "`solution`: expected ':'"),
        ('returns = "3"', "returns = 3", "either `returns` or `raises`, as text"),
        ('returns = "3"', 'returns = "3", raises = "X"', "either `returns` or `raises`"),
        ('returns = "3"', 'returns = "three()"', "example"),
        ("call = \"count_vowels('Audi')\"", 'call = "count_vowels("', "example"),
        ("[[task]]", "[[task", "no valid TOML"),
    ],
)
def test_a_fault_in_a_file_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in TASK
    with pytest.raises(BankError) as caught:
        load_bank(write(tmp_path, TASK.replace(old, new)))
    assert str(caught.value).startswith("tasks.toml")
    assert says in str(caught.value)


def test_a_name_may_be_there_once(tmp_path: Path) -> None:
    with pytest.raises(BankError, match="count_vowels is there twice"):
        load_bank(write(tmp_path, TASK + TASK))


def test_an_empty_folder_is_an_empty_bank(tmp_path: Path) -> None:
    assert load_bank(tmp_path).find("count_vowels") is None


def test_the_real_bank_is_large_and_every_phrasing_finds_its_task() -> None:
    bank = load_bank()
    assert len(bank.tasks) >= 150
    lost = [
        (task.name, request)
        for task in bank.tasks.values()
        for request in task.requests
        if bank.find(request) is not task
    ]
    assert lost == []


def test_no_phrasing_of_the_real_bank_asks_for_another_name() -> None:
    wrong = [
        (task.name, name)
        for task in load_bank().tasks.values()
        for request in task.requests
        if (name := asked_name(task, request)) not in (None, task.name)
    ]
    assert wrong == []


def found_name(case: Case, stated: tuple[StatedExample, ...]) -> str | None:
    task = load_bank().find(case["request"], stated=stated)
    return task.name if task else None


def test_every_golden_request_finds_its_task_with_and_without_its_examples() -> None:
    found = {
        case["id"]: {
            found_name(case, ()),
            found_name(case, tuple(StatedExample(**each) for each in case["examples"])),
        }
        for case in golden_requests()
    }
    assert found == {name: {name.removeprefix("golden:")} for name in found}


@pytest.mark.parametrize(
    "request_text",
    [
        "Train a neural network on MNIST.",
        "Please write a haiku about Python.",
        "Make a Flask server with a login page.",
        "Simulate Conway's game of life for n generations.",
        "ping",
    ],
)
def test_what_the_real_bank_does_not_know_is_not_found(request_text: str) -> None:
    assert load_bank().find(request_text) is None
