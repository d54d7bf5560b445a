"""Requests that people try first: each finds its task, which is solved as requested."""

import ast
import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from selfheal.simulator.bank import load_bank
from selfheal.simulator.inspection import inspect
from selfheal.simulator.plan import OUTSIDE, asked_name, task_for
from selfheal.simulator.request_parsing import parse_request
from selfheal.simulator.solution_matching import StatedExample, check_examples
from selfheal.simulator.source import parameters_of
from selfheal.simulator.state import State
from selfheal.simulator.tasks import BankError, Task
from tests.unit.test_simulator_bank import TASK, write
from tests.unit.test_simulator_strength import SOUND, ask, fenced, shares

PHRASED = tomllib.loads((Path(__file__).parent / "short_requests.toml").read_text("utf-8"))
ASKED: dict[str, list[str]] = PHRASED["asked"]
BANK = load_bank()
TASKS = {**BANK.tasks, **BANK.first}
FORMS = [form for task in TASKS.values() for form in (task, *task.variants)]


def found(request: str, *stated: tuple[str, str]) -> Task | None:
    """Return the task as the personas see it, the examples being (call, result)."""
    return task_for(BANK, (request,), tuple(StatedExample(*example) for example in stated))


def code_for(request: str, *stated: tuple[str, str]) -> str:
    task = found(request, *stated)
    assert task is not None
    return task.solution


def names_of(task: Task) -> list[str]:
    return [arg.arg for arg in parameters_of(task.entry)]


class TestTheBank:
    def test_there_is_enough_of_it_and_all_of_it_is_phrased(self) -> None:
        asked = {task.name for task in TASKS.values() if task.forms}
        assert len(asked) >= 100
        assert ASKED.keys() == asked
        assert min(map(len, ASKED.values())) >= 3
        assert len(PHRASED["outside"]) >= 60

    def test_the_phrasings_are_not_those_of_the_bank(self) -> None:
        known = {text for task in TASKS.values() for text in task.requests}
        said = [text for texts in ASKED.values() for text in texts]
        assert not known.intersection(said)
        assert max(Counter([*said, *PHRASED["outside"]]).values()) == 1

    def test_every_form_is_sound_documented_and_typed(self) -> None:
        shared = shares([(form.solution, form.examples) for form in FORMS])
        assert [f.name for f, share in zip(FORMS, shared, strict=True) if share < 1] == []
        seen = {(f.name, f.solution): inspect(f.solution, f.name, f) for f in FORMS}
        assert {each.verdict for each in seen.values()} == {"sound"}
        assert [k[0] for k, each in seen.items() if not (each.documented and each.typed)] == []

    def test_every_request_of_the_first_tasks_finds_its_task(self) -> None:
        lost = [
            (task.name, text)
            for task in BANK.first.values()
            for text in task.requests
            if BANK.find(text) not in (task, *task.variants)
        ]
        assert lost == []

    @pytest.mark.parametrize(
        ("new", "says"),
        [
            ('asks = "vowel"', "`asks` must be a list of texts"),
            ("asks = [3]", "`asks` must be a list of texts"),
            ('asks = ["vowel"]\nwords = 3', "`words` must be a text"),
            ('[[task.variants]]\nsolution = "def other(): ..."', "variant 1: `solution`"),
            ("[[task.variants]]\nexamples = [{ call = 'f(' }]", "variant 1: an example"),
        ],
    )
    def test_a_fault_in_a_file_is_named(self, tmp_path: Path, new: str, says: str) -> None:
        with pytest.raises(BankError, match="tasks.toml") as caught:
            load_bank(write(tmp_path, f"{TASK}\n{new}\n"))
        assert says in str(caught.value)

    def test_a_first_task_that_nothing_would_find_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "first").mkdir()
        write(tmp_path / "first", TASK)
        with pytest.raises(BankError, match="count_vowels has no `asks`"):
            load_bank(tmp_path)

    def test_a_name_is_there_once_in_both(self, tmp_path: Path) -> None:
        (tmp_path / "first").mkdir()
        write(tmp_path / "first", f'{TASK}\nasks = ["vowel"]')
        with pytest.raises(BankError, match="count_vowels is there twice"):
            load_bank(write(tmp_path, TASK))


class TestFinding:
    @pytest.mark.parametrize("name", ASKED)
    def test_a_phrasing_finds_its_task(self, name: str) -> None:
        wrong = {text: task for text in ASKED[name] if (task := _name(found(text))) != name}
        assert wrong == {}

    @pytest.mark.parametrize("request_text", PHRASED["outside"])
    def test_what_is_outside_finds_nothing(self, request_text: str) -> None:
        assert _name(found(request_text)) is None

    @pytest.mark.parametrize("name", ASKED)
    def test_one_word_more_that_no_task_knows_is_one_too_many(self, name: str) -> None:
        """A request that asks for more than a task does is not matched to the task."""
        for text in ASKED[name]:
            if len(text.split()) < 12:  # a longer one may be found by its likeness
                assert _name(found(f"zorbling {text}")) is None, text

    def test_a_long_text_is_no_short_request(self) -> None:
        assert parse_request("fizzbuzz " * 10_000) is None
        assert found("fizzbuzz " * 10_000) is None


def _name(task: Task | None) -> str | None:
    return task.name if task else None


class TestTheAnswer:
    @pytest.mark.parametrize(
        ("request_text", "name"),
        [
            ("Write a function called fact that computes the factorial of n", "fact"),
            (
                "Write a function named `is_it_prime` which checks a number",
                "is_it_prime",
            ),
            ("fib(n): nth fibonacci number", "fib"),
            ("reverse a string. The function should be called rev", "rev"),
            ("Write a class MyStack with push and pop", "MyStack"),
            ("Create a class called TodoManager, a todo list", "TodoManager"),
            ("write isPalindrome", "isPalindrome"),
            ("def check_leap(year): is it a leap year", "check_leap"),
            ("convert camelCase to snake_case", None),
            ("sort a list without sorted()", None),
        ],
    )
    def test_the_name_is_the_requests(self, request_text: str, name: str | None) -> None:
        task = found(request_text)
        assert task is not None
        assert asked_name(task, request_text) == name

    def test_the_examples_name_counts(self) -> None:
        task = found("sum of digits", ("digsum(12)", "3"))
        assert task is not None
        assert asked_name(task, "sum of digits", ("digsum(12)",)) == "digsum"

    @pytest.mark.parametrize(
        ("request_text", "names"),
        [
            ("binary_search(arr, x)", ["arr", "x"]),
            ("Write power(x, n)", ["x", "n"]),
            ("Write hanoi(disks)", ["disks", "source", "target", "spare"]),
            ("reverse_string(str)", ["text"]),  # a built-in that the solution may need
            ("power(result, n)", ["base", "exponent"]),  # a name that the solution has
        ],
    )
    def test_the_parameters_are_the_requests(self, request_text: str, names: list[str]) -> None:
        task = found(request_text)
        assert task is not None
        assert names_of(task) == names
        assert shares([(task.solution, task.examples)]) == [1]

    @pytest.mark.parametrize(
        "request_text",
        [
            "binary_search(target, arr)",
            "Write max_of_three(a, b)",
            "is_prime(n, certainty)",
            "factorial class",
            "is fibonacci of n",
        ],
    )
    def test_a_form_that_it_does_not_have_is_outside(self, request_text: str) -> None:
        assert found(request_text) is None

    @pytest.mark.parametrize(
        ("request_text", "example", "holds"),
        [
            ("fizzbuzz", ("fizzbuzz(3)", "['1', '2', 'Fizz']"), "-> list[str]"),
            ("fizzbuzz", ("fizzbuzz(3)", "'Fizz'"), "-> str"),
            ("even or odd", ("parity(2)", "'Even'"), "'Even'"),
            ("calculator", ("calc(1, 2, '+')", "3"), "a: float, b: float, operator"),
            ("calculator", ("calc(1, '+', 2)", "3"), "a: float, operator"),
            ("two sum", ("f([1, 2], 3)", "(0, 1)"), "return seen"),
            ("distance between two points", ("d(0, 0, 3, 4)", "5.0"), "x1: float"),
            ("fibonacci", ("f(3)", "[0, 1, 1]"), "list[int]"),
            ("fibonacci", ("f(3)", "2"), "-> int"),
        ],
    )
    def test_the_examples_choose_the_form(
        self, request_text: str, example: tuple[str, str], holds: str
    ) -> None:
        assert holds in code_for(request_text, example)

    @pytest.mark.parametrize(
        ("request_text", "example"),
        [
            ("median of a list", ("median([3, 1, 2])", "2")),
            ("median of a list", ("median([3, 1, 2])", "2.0")),
            ("celsius to fahrenheit", ("f(100)", "212")),
            ("power", ("f(2, 3)", "8.0")),
        ],
    )
    def test_numbers_are_of_the_kind_that_the_examples_have(
        self, request_text: str, example: tuple[str, str]
    ) -> None:
        task = found(request_text, example)
        assert task is not None
        call = re.sub(r"^\w+", task.name, example[0])
        shown = {"call": f"repr({call})", "returns": repr(example[1])}
        assert shares([(task.solution, [shown, *task.examples])]) == [1]

    def test_examples_that_contradict_the_task_make_it_another(self) -> None:
        assert found("reverse a string", ("reverse('ab')", "'ab'")) is None
        assert found("reverse a string", ("reverse('ab')", "'ba'")) is not None

    def test_of_examples_that_contradict_each_other_most_decide(self) -> None:
        stated = (("f(3)", "'Fizz'"), ("f(5)", "'Buzz'"), ("f(15)", "'Fizz'"))
        assert "-> str" in code_for("fizzbuzz", *stated)

    def test_what_is_to_be_printed_is_printed_and_returned(self) -> None:
        code = code_for("print the multiplication table of a number")
        assert "print(*result, sep='\\n')" in code
        task = BANK.first["multiplication_table"]
        assert shares([(code, task.examples)]) == [1]
        assert "print(" not in code_for("multiplication table of a number")
        # At each depth of a recursion it would be printed anew.
        assert "print(" not in code_for("print the factorial of n recursively")

    @pytest.mark.parametrize(
        "call",
        [
            "f(10 ** 9)",
            "f(99999999)",
            "f(open('x'))",
            "__import__('os').getpid()",
            "f(" + "[" * 999,
        ],
    )
    def test_no_example_makes_it_run_what_is_not_in_the_bank(self, call: str) -> None:
        result = check_examples(BANK.first["countdown"], (StatedExample(call, "1"),))
        assert (result.tried, result.holding) == (0, 0)

    @pytest.mark.parametrize(
        ("name", "call"), [("hanoi", "hanoi(60)"), ("power_set", f"f({list(range(30))})")]
    )
    def test_an_example_that_takes_too_long_is_not_tried(self, name: str, call: str) -> None:
        result = check_examples(BANK.first[name], (StatedExample(call, "[]"),))
        assert (result.tried, result.holding) == (0, 0)


@pytest.fixture(scope="module")
def runs() -> list[tuple[str, dict[str, Any], str, dict[str, Any]]]:
    """Return (request, plan, code, marks) of each phrasing under sound prompts, without slips."""
    state = State(load_bank())
    state.slips = 0.0
    return [_run(state, text) for texts in ASKED.values() for text in texts]


def _run(state: State, request: str) -> tuple[str, dict[str, Any], str, dict[str, Any]]:
    plan = dict(ask(state, "manager", SOUND["manager"], request=request))
    plan_text = json.dumps(plan)
    code = fenced(ask(state, "worker", SOUND["worker"], request=request, plan=plan_text))
    judged = ask(state, "evaluator", SOUND["evaluator"], request=request, plan=plan_text, code=code)
    return request, plan, code, dict(judged)


def test_under_sound_prompts_every_phrasing_is_solved(runs: Any) -> None:
    held_share = shares([(code, plan["examples"]) for _, plan, code, _ in runs])
    assert [
        (request, share, marks["reasons"])
        for (request, _, _, marks), share in zip(runs, held_share, strict=True)
        if share < 1 or marks["correctness"] < 0.8
    ] == []


def test_the_code_defines_what_the_plan_names(runs: Any) -> None:
    for request, plan, code, _ in runs:
        wanted = re.match(r"(?:class )?(\w+)", plan["signature"])
        assert wanted, request
        defined = [node for node in ast.parse(code).body if hasattr(node, "name")]
        assert wanted[1] in {node.name for node in defined}, request


@pytest.mark.parametrize("request_text", PHRASED["outside"][::8])
def test_what_is_outside_is_said_to_be(request_text: str) -> None:
    _, plan, code, marks = _run(State(load_bank()), request_text)
    assert plan["requirements"][0] == OUTSIDE
    assert OUTSIDE in code
    assert marks["reasons"][0] == OUTSIDE
