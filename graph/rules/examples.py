"""Examples of a plan: the calls that the sandbox evaluates for them, and whether they hold.

An example that only the program's own process can decide counts as an inferred one, even if it was
stated: see `folding`. It is evaluated in a separate run, since its text shows what is expected.
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
from selfheal.graph.rules.static_runner import defined_name
from selfheal.graph.sandbox.protocol import CallResult, Execution
from selfheal.graph.sandbox.values import clean, shown
from selfheal.graph.state import Plan, PlannedExample

_STEPS: Final = 100_000
_LONGEST_VALUE: Final = 120
_LONGEST_CALL: Final = 300
# A program defines its own classes, and could define one that matches any expected exception. So an
# exception matches by its own name, its parent's, and its nearest built-in base with the bases of
# that in this process.
_OWN_CLASSES: Final = 2
_LINEAGES: Final = 2  # a class with more unrelated built-in bases was made to match anything


@dataclass(frozen=True, slots=True)
class Question:
    """The calls that an example needs.

    Attributes:
        example: the example.
        calls: texts for the sandbox: the example itself, or the calls of `folding`.
        folding: how the result is computed from the calls; None if the example is one call.
        decidable: False if only the program's own process can evaluate it.
        of_objects: a class was requested, so that its own operators may be meant.
    """

    example: PlannedExample
    calls: tuple[str, ...]
    folding: Folding | None = None
    decidable: bool = True
    of_objects: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of an example.

    Attributes:
        example: the example.
        state: `undecided` is evaluated again, by the program itself.
        detail: how it is broken.
        decided_outside: the decision was not made by the program's own process.
    """

    example: PlannedExample
    state: Literal["held", "broken", "undecided"]
    detail: str = ""
    decided_outside: bool = True

    @property
    def stated(self) -> bool:
        """Whether it counts as a stated example, which is a veto if broken.

        The program's own process can prove that an example is broken, not that it holds.
        """
        decides = self.decided_outside or self.state == "broken"
        return decides and self.example["origin"] == "stated"


def ask(plan: Plan) -> tuple[Question, ...]:
    """Return the question for each example of a plan, in order."""
    budget = Budget(_STEPS)
    return tuple(_question(each, plan["signature"], budget) for each in plan["examples"])


def _question(example: PlannedExample, signature: str, budget: Budget) -> Question:
    name = defined_name(signature)
    of_objects = signature.lstrip().startswith("class") or bool(name and name[0].isupper())
    as_it_is = Question(example, (example["call"],))
    if "raises" in example:  # its call does not show which exception is expected
        return as_it_is
    try:
        with quietly():
            tree = ast.parse(example["call"].strip(), mode="eval").body
        folded = folding(tree, budget, {name} if name else (), of_objects=of_objects)
    except UnfoldableError:
        return Question(example, (), decidable=False)
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # the sandbox reports it
        return as_it_is
    if folded.is_one_call:
        return as_it_is
    return Question(example, tuple(folded.calls), folded, of_objects=of_objects)


def answers(questions: Sequence[Question], execution: Execution) -> tuple[Answer, ...]:
    """Return the results of examples.

    Args:
        questions: all examples of a plan.
        execution: the run that evaluated their calls, in that order.
    """
    results = iter(execution.results)
    budget = Budget(_STEPS)
    return tuple(
        _answer(each, [next(results, None) for _ in each.calls], budget) for each in questions
    )


def answers_again(first: Sequence[Answer], execution: Execution | None) -> tuple[Answer, ...]:
    """Return the answers, the undecided ones as the program's own process decided them.

    Args:
        first: the answers of the first run.
        execution: the run that evaluated the undecided examples, in their order; None if there was
            none.
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
        return _broken(example, "needs a plain value, not an object of the program")
    except UnfoldableError:
        return Answer(example, "undecided")
    except UnansweredError:
        return _broken(example, "was not reached")
    except RaisedError as error:
        return _broken(example, f"raised {error.names[0]}: {error.message}")
    return _returned(example, value)


def _plain(example: PlannedExample, result: CallResult | None) -> Answer:
    """Return the result of an example that was evaluated as one call."""
    if result is None:
        return _broken(example, "was not reached")
    wanted = example.get("raises")
    if wanted is not None:
        detail = _not_raised(wanted, result)
        return _broken(example, detail) if detail else Answer(example, "held")
    if result.raised is not None:
        return _broken(example, f"raised {result.raised[0]}: {result.message}")
    return _returned(example, result.value)


def _returned(example: PlannedExample, value: object) -> Answer:
    try:
        expected = literal(example["returns"])
    except (KeyError, ValueError):
        return _broken(example, "has no result to compare with")
    if same(expected, value):
        return Answer(example, "held")
    return _broken(
        example, f"returned {shown(value, _LONGEST_VALUE)}, not {clean(example['returns'])}"
    )


def _broken(example: PlannedExample, detail: str) -> Answer:
    return Answer(example, "broken", f"{clean(example['call'], _LONGEST_CALL)} {detail}")


def _not_raised(wanted: str, result: CallResult) -> str:
    """Return how an exception differs from the expected one; "" if it matches."""
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
    """Return the built-in exception with a name, None if there is none."""
    found = vars(builtins).get(name)
    if isinstance(found, type) and issubclass(found, BaseException):
        return found
    return None


def _lineages(kinds: Sequence[type]) -> int:
    """Count the exceptions that no other one of them descends from."""
    return sum(
        not any(each is not other and issubclass(other, each) for other in kinds) for each in kinds
    )
