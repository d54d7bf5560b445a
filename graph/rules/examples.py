"""Examples of a plan: what the sandbox evaluates for them, and whether they hold.

What only the program's own process could decide counts as an inferred example, even if stated:
see `folding`. It is evaluated in a run of its own, since its text shows what is expected.
"""

import ast
import builtins
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from selfheal.graph.parsing.literals import literal, quietly
from selfheal.graph.rules.equality import same
from selfheal.graph.rules.folding import Folding, RaisedError, UnansweredError, folding
from selfheal.graph.rules.folding_operations import Budget, NotPlainError, UnfoldableError
from selfheal.graph.rules.static_runner import asked_name
from selfheal.graph.sandbox.protocol import CallResult, Execution
from selfheal.graph.sandbox.values import clean, shown
from selfheal.graph.state import Plan, PlannedExample

_STEPS: Final = 100_000
_LONGEST_VALUE: Final = 120
_LONGEST_CALL: Final = 300
# A program makes its own classes, and one could be made to be whatever is expected. So it goes by
# its own name, its parent's, and the nearest built-in exception with what that descends from here.
_OWN_CLASSES: Final = 2
_LINEAGES: Final = 2  # what descends from more was made to match whatever is expected


@dataclass(frozen=True, slots=True)
class Question:
    """An example as the sandbox is asked: a call as it stands, or the calls of a folding.

    `of_objects` says that a class was asked for, whose own operators may be meant.
    """

    example: PlannedExample
    calls: tuple[str, ...]
    folding: Folding | None = None
    decidable: bool = True
    of_objects: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What an example came to: `words` say how it is broken. An undecided one is asked again."""

    example: PlannedExample
    state: Literal["held", "broken", "undecided"]
    words: str = ""
    decided_outside: bool = True

    @property
    def stated(self) -> bool:
        """Whether it decides; all others only count.

        That it holds, only what is decided outside can show. That it is broken, the program may say
        of itself.
        """
        decides = self.decided_outside or self.state == "broken"
        return decides and self.example["origin"] == "stated"


def ask(plan: Plan) -> tuple[Question, ...]:
    """Return what the sandbox is asked for each example of a plan."""
    budget = Budget(_STEPS)
    return tuple(_question(each, plan["signature"], budget) for each in plan["examples"])


def _question(example: PlannedExample, signature: str, budget: Budget) -> Question:
    name = asked_name(signature)
    of_objects = signature.lstrip().startswith("class") or bool(name and name[0].isupper())
    as_it_is = Question(example, (example["call"],))
    if "raises" in example:  # which exception is expected, its text does not show
        return as_it_is
    try:
        with quietly():
            tree = ast.parse(example["call"].strip(), mode="eval").body
        folded = folding(tree, budget, {name} if name else (), of_objects=of_objects)
    except UnfoldableError:
        return Question(example, (), decidable=False)
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # the sandbox will say so too
        return as_it_is
    if folded.is_one_call:
        return as_it_is
    return Question(example, tuple(folded.calls), folded, of_objects=of_objects)


def answers(questions: Sequence[Question], execution: Execution) -> tuple[Answer, ...]:
    """Return what the examples came to in the run that evaluated the calls of all of them."""
    results = iter(execution.results)
    budget = Budget(_STEPS)
    return tuple(
        _answer(each, [next(results, None) for _ in each.calls], budget) for each in questions
    )


def answers_again(first: Sequence[Answer], execution: Execution | None) -> tuple[Answer, ...]:
    """Return the answers with the undecided ones as the program's own process decided them.

    Args:
        first: the answers of the first run.
        execution: the run that evaluated the undecided ones as they stand, in their order; None
            where there was none.
    """
    results = iter(execution.results if execution else ())
    return tuple(
        replace(_plain(each.example, next(results, None)), decided_outside=False)
        if each.state == "undecided"
        else each
        for each in first
    )


def _answer(question: Question, results: list[CallResult | None], budget: Budget) -> Answer:
    example, folded = question.example, question.folding
    if not question.decidable:
        return Answer(example, "undecided")
    if folded is None:
        return _plain(example, results[0])
    try:
        value = folded.value(results, budget)
    except NotPlainError:
        if question.of_objects:
            return Answer(example, "undecided")
        return _broken(example, "needs a plain value, and got an object of the program's")
    except UnfoldableError:
        return Answer(example, "undecided")
    except UnansweredError:
        return _broken(example, "was not reached")
    except RaisedError as error:
        return _broken(example, f"raised {error.names[0]}: {error.message}")
    return _returned(example, value)


def _plain(example: PlannedExample, result: CallResult | None) -> Answer:
    """Return what an example came to that was evaluated as it stands."""
    if result is None:
        return _broken(example, "was not reached")
    wanted = example.get("raises")
    if wanted is not None:
        words = _not_raised(wanted, result)
        return _broken(example, words) if words else Answer(example, "held")
    if result.raised is not None:
        return _broken(example, f"raised {result.raised[0]}: {result.message}")
    return _returned(example, result.value)


def _returned(example: PlannedExample, value: object) -> Answer:
    try:
        expected = literal(example["returns"])
    except (KeyError, ValueError):
        return _broken(example, "says nothing that can be compared")
    if same(expected, value):
        return Answer(example, "held")
    return _broken(
        example, f"returned {shown(value, _LONGEST_VALUE)}, not {clean(example['returns'])}"
    )


def _broken(example: PlannedExample, words: str) -> Answer:
    return Answer(example, "broken", f"{clean(example['call'], _LONGEST_CALL)} {words}")


def _not_raised(wanted: str, result: CallResult) -> str:
    """Say how an exception is not the one that is wanted; empty if it is."""
    raised = result.raised
    if raised is None:
        return f"returned {shown(result.value, _LONGEST_VALUE)}, did not raise {wanted}"
    kinds = [kind for name in raised if (kind := _built_in(name))]
    if (lineages := _lineages(kinds)) > _LINEAGES:
        return f"raised {raised[0]}, which is {lineages} kinds of exception at once"
    name = wanted.rpartition(".")[2]
    if name in raised[:_OWN_CLASSES] and _built_in(name) is None:
        return ""
    if kinds and issubclass(kinds[0], _built_in(name) or ()):
        return ""
    return f"raised {raised[0]}, not {wanted}"


def _built_in(name: str) -> type[BaseException] | None:
    """Return the built-in exception of a name."""
    found = vars(builtins).get(name)
    if isinstance(found, type) and issubclass(found, BaseException):
        return found
    return None


def _lineages(kinds: Sequence[type]) -> int:
    """Count built-in exceptions, those apart that others descend from."""
    return sum(
        not any(each is not other and issubclass(other, each) for other in kinds) for each in kinds
    )
