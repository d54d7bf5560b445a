"""Examples that decide something, evaluated outside the sandbox: `{"call": "f(2) == 4", …}`.

The program's process could return `True` for any comparison: an object's own `__eq__` or a patched
encoder is enough. So it evaluates only the calls of the program, here `f(2)`, and returns their
values; the rest of the example (comparisons, `and`, arithmetic, `all`, …) is evaluated here, over
decoded plain values. The values that they are compared with never enter the sandbox.
"""

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from selfheal.graph.rules.example_parts import Parts
from selfheal.graph.rules.folding_evaluator import UNKNOWN, FoldingEvaluator, Key
from selfheal.graph.rules.folding_operations import Budget, UnfoldableError
from selfheal.graph.sandbox.protocol import CallResult
from selfheal.graph.sandbox.values import has_large_int

MOST_CALLS: Final = 256


class RaisedError(Exception):
    """A call of the program raised.

    Attributes:
        names: of the exception's class and of its bases, nearest first.
        message: of the exception.
    """

    def __init__(self, names: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.names = names
        self.message = message


class UnansweredError(Exception):
    """The program ended before a call of it returned."""


@dataclass(slots=True)
class Folding:
    """An expression and the calls of the program that it needs.

    Attributes:
        tree: the expression.
        parts: which parts of it the program evaluates.
        calls: the texts of the calls, in the order in which they are made.
        places: the index in `calls` of each place in the tree.
    """

    tree: ast.expr
    parts: Parts
    calls: list[str] = field(default_factory=list)
    places: dict[Key, int] = field(default_factory=dict)

    @property
    def is_one_call(self) -> bool:
        """Whether the program evaluates all of it."""
        return self.parts.uses_program(self.tree) and not self.parts.folds(self.tree)

    def value(self, results: Sequence[CallResult | None], budget: Budget) -> object:
        """Return the expression's value.

        Args:
            results: of the calls, in their order; None for one that was not reached.
            budget: what the evaluation may take.

        Raises:
            RaisedError: a call raised, or an operation on its value did.
            UnansweredError: a call that is needed has no result.
            UnfoldableError: the expression cannot be evaluated over these values.
        """

        def resolve(key: Key, _: str) -> object:
            if key not in self.places:
                raise UnfoldableError("a call that was not planned")
            result = results[self.places[key]]
            if result is None:
                raise UnansweredError
            if result.raised is not None:
                raise RaisedError(result.raised, result.message)
            if has_large_int(result.value):
                raise UnfoldableError("the number is too large")
            return result.value

        try:
            return FoldingEvaluator(self.parts, resolve, budget).fold(self.tree)
        except (UnfoldableError, RaisedError, UnansweredError):
            raise
        except RecursionError as problem:
            raise UnfoldableError("it is nested too deeply") from problem
        except Exception as problem:  # an exception of the expression itself, as of `1 / f(0)`
            names = tuple(each.__name__ for each in type(problem).__mro__)
            raise RaisedError(names, str(problem)) from problem


def folding(
    tree: ast.expr, budget: Budget, own: Iterable[str] = (), *, of_objects: bool = False
) -> Folding:
    """Plan how an expression is evaluated.

    Args:
        tree: the expression.
        budget: what planning may take.
        own: names that the program defines, which may hide those of Python.
        of_objects: whether a class was requested, whose operators the program applies.

    Raises:
        UnfoldableError: it cannot be evaluated outside the program's process.
    """
    parts = Parts(tree, frozenset(own), of_objects)
    if parts.hides:
        raise UnfoldableError("it hides what it does, in a text for instance")
    planned = Folding(tree, parts)

    def resolve(key: Key, text: str) -> object:
        if key not in planned.places:
            if len(planned.calls) == MOST_CALLS:
                raise UnfoldableError("it takes too many calls")
            planned.places[key] = len(planned.calls)
            planned.calls.append(text)
        return UNKNOWN

    try:
        FoldingEvaluator(planned.parts, resolve, budget).fold(tree)
    except RecursionError as problem:
        raise UnfoldableError("it is nested too deeply") from problem
    except UnfoldableError:
        raise
    except Exception:  # noqa: S110 - it is raised again when there are values
        pass
    return planned
