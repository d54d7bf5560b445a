"""Whether a solution fits what a request states: the signature that it gives, and its examples."""

import ast
import builtins
import contextlib
import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import FrameType
from typing import Any

from selfheal.simulator.source import Entry, called, parameters_of
from selfheal.simulator.tasks import Task
from selfheal.simulator.wording import Signature, Wording, stems, vocabulary

_MOST_EXAMPLES = 12
_LONGEST_CALL = 400
_LARGEST = 5_000
_STEPS = 20_000
# Verbs that ask for things, and not for a truth value.
_SEEKING = frozenset(stems("find generate get extract collect produce all"))


@dataclass(frozen=True)
class Stated:
    """An example that a request states: a call, and its result as a literal or its exception."""

    call: str
    returns: str = ""
    raises: str = ""


@dataclass(frozen=True)
class Held:
    """Of the stated examples, how many could be tried on a solution, and how many of them hold.

    `kind` is "int" or "float" where those hold that want a number of this kind, and the solution
    has it as one of the other.
    """

    tried: int
    holding: int
    kind: str


_PRINT = "print(result)"
_PRINT_LINES = "print(*result, sep='\\n')"
_AS_KIND = {
    "int": "if result == int(result):\n    result = int(result)",
    "float": "result = float(result)",
}


class _TooLongError(Exception):
    """The solution took more steps than an example may."""


def signature_for(task: Task, wording: Wording) -> Signature | None:
    """Return the signature that the request gives the task's entry; None where it gives none."""
    if isinstance(task.entry, ast.ClassDef):
        names = {task.name, wording.given_name}
        return next((each for each in wording.signatures if each.name in names), None)
    # Without parameters it may be a function that is not to be used, as in "without reverse()".
    own = [
        each
        for each in wording.signatures
        if not hasattr(builtins, each.name) and (each.parameters or not parameters_of(task.entry))
    ]
    return next((each for each in own if each.name == wording.given_name), own[0] if own else None)


def takes(task: Task, wording: Wording) -> bool:
    """Tell whether the task is in the form that the request gives it: a class, these parameters."""
    if "class" in wording.words and isinstance(task.entry, ast.FunctionDef):
        return False
    return _answers(task, wording) and has_signature(task, wording)


def _answers(task: Task, wording: Wording) -> bool:
    """Tell whether a question gets a truth value, and what asks to find things does not."""
    if isinstance(task.entry, ast.ClassDef) or task.entry.returns is None:
        return True
    decides = ast.unparse(task.entry.returns) == "bool"
    if wording.asks_whether:
        return decides or "whether" in task.words
    return not (decides and _SEEKING.intersection(wording.words) - set(stems(task.words)))


def has_signature(task: Task, wording: Wording) -> bool:
    """Tell whether the task's entry can be called as the request says, if it says so."""
    wanted = signature_for(task, wording)
    if wanted is None or (isinstance(task.entry, ast.ClassDef) and not wanted.parameters):
        return True
    have = [arg.arg for arg in parameters_of(task.entry)]
    runs = called(task.entry)
    optional = len(runs.args.defaults) if runs else 0
    if not len(have) - optional <= len(wanted.parameters) <= len(have):
        return False
    pairs = zip(have, wanted.parameters, strict=False)
    return len(have) == 1 or not any(_swapped(*pair) for pair in pairs)


def _swapped(have: str, wanted: str) -> bool:
    """Tell whether the names are of different kinds, so that the order must be another one."""
    if have == wanted:
        return False
    wholes, parts = vocabulary().wholes, vocabulary().parts
    return (have in wholes and wanted in parts) or (have in parts and wanted in wholes)


@lru_cache(maxsize=1024)
def tailored(task: Task, wording: Wording, stated: tuple[Stated, ...] = ()) -> Task:
    """Return the task as the request wants it.

    It has the request's names of parameters, prints where the request says so, and returns numbers
    of the kind that the stated examples have, 2 or 2.0.
    """
    solution = task.solution
    wanted = signature_for(task, wording)
    if wanted is not None:
        solution = _with_parameters(solution, task, wanted.parameters)
    if isinstance(task.entry, ast.FunctionDef):
        kind = held(task, stated).kind
        if kind:
            solution = _returning(solution, task.name, _AS_KIND[kind])
        if wording.prints and _can_print(task.entry):
            lines = ast.unparse(task.entry.returns or ast.Constant(None)).startswith("list[str]")
            solution = _returning(solution, task.name, _PRINT_LINES if lines else _PRINT)
    if solution == task.solution:
        return task
    made = replace(task, solution=solution)
    return replace(made, examples=tuple(each for each in task.examples if _still(made, each)))


def _still(task: Task, example: Mapping[str, str]) -> bool:
    """Tell whether an example of the bank holds, or cannot be tried, on a changed solution."""
    result = held(task, (Stated(**example),))
    return result.holding == result.tried and not result.kind


def _with_parameters(solution: str, task: Task, names: tuple[str, ...]) -> str:
    have = [arg.arg for arg in parameters_of(task.entry)]
    new = {old: name for old, name in zip(have, names, strict=False) if old != name}
    tree = ast.parse(solution)
    taken = {word for node in ast.walk(tree) for word in _words(node)} | set(dir(builtins))
    if not new or taken.intersection(new.values()):
        return solution
    runs = called(_entry(tree, task.name))
    for node in ast.walk(runs) if runs else ():
        if isinstance(node, ast.arg):
            node.arg = new.get(node.arg, node.arg)
        elif isinstance(node, ast.Name):
            node.id = new.get(node.id, node.id)
        elif isinstance(node, ast.keyword) and node.arg:
            node.arg = new.get(node.arg, node.arg)
    return ast.unparse(tree)


def _words(node: ast.AST) -> Iterator[str]:
    for field in ("id", "arg", "name", "attr", "asname"):
        value = getattr(node, field, None)
        if isinstance(value, str):
            yield value


def _entry(tree: ast.Module, name: str) -> Entry:
    return next(node for node in tree.body if isinstance(node, Entry) and node.name == name)


def _can_print(entry: Entry) -> bool:
    """Tell whether a function may print its result: once, so no generator and no recursion."""
    if isinstance(entry, ast.ClassDef):
        return False
    nodes = list(ast.walk(entry))
    again = any(isinstance(node, ast.Name) and node.id == entry.name for node in nodes)
    inner = any(isinstance(node, ast.FunctionDef | ast.Lambda) for node in nodes[1:])
    printing = any(isinstance(node, ast.Name) and node.id == "print" for node in nodes)
    return not (again or inner or printing or any(isinstance(node, ast.Yield) for node in nodes))


class _Returning(ast.NodeTransformer):
    """What is returned goes through further statements, as `result`."""

    def __init__(self, steps: str) -> None:
        self._steps = steps

    def visit_Return(self, node: ast.Return) -> Any:
        """Put the steps between the result and its return."""
        value = ast.unparse(node.value) if node.value else "None"
        return ast.parse(f"result = {value}\n{self._steps}\nreturn result").body


def _returning(solution: str, name: str, steps: str) -> str:
    tree = ast.parse(solution)
    _Returning(steps).visit(_entry(tree, name))
    return ast.unparse(ast.fix_missing_locations(tree))


@lru_cache(maxsize=1024)
def held(task: Task, stated: tuple[Stated, ...]) -> Held:
    """Try the stated examples on the task's solution, which is ours; no code of a request runs.

    Only calls of one function with literal arguments are tried, so that nothing but the bank's code
    is executed, and each only for a bounded number of steps.
    """
    space: dict[str, Any] = {"__name__": "bank"}
    exec(compile(task.solution, "bank", "exec"), space)  # noqa: S102 - the bank's own code
    results = [_outcome(space[task.name], example) for example in stated[:_MOST_EXAMPLES]]
    kinds = {result for result in results if result in _AS_KIND}
    # Examples that want both kinds of numbers are not met by either.
    kind = kinds.pop() if len(kinds) == 1 else ""
    tried = [result for result in results if result]
    return Held(len(tried), sum(result in ("holds", kind) for result in tried), kind)


def _outcome(function: Callable[..., Any], example: Stated) -> str:
    """Return "holds", "fails", the kind of number that would make it hold; "" if not tried."""
    try:
        arguments, named = _arguments(example.call)
        wanted = None if example.raises else ast.literal_eval(example.returns.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return ""
    try:
        with _limited(), contextlib.redirect_stdout(io.StringIO()):
            value = function(*arguments, **named)
    except _TooLongError:
        return ""
    except Exception as error:
        return "holds" if type(error).__name__ == example.raises else "fails"
    if not example.raises and _plain(value) == _plain(wanted):
        return "holds"
    numbers = {type(value), type(wanted)} == {int, float}
    return type(wanted).__name__ if numbers and value == wanted else "fails"


def _plain(value: object) -> object:
    """Return a value to compare by: 1, 1.0 and True are three things, floats nearly equal one."""
    if isinstance(value, list | tuple):
        return type(value), [_plain(each) for each in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    return type(value), round(value, 9) if isinstance(value, float) else value


def _arguments(call: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the literal arguments of a call. Raises ValueError for any other expression."""
    if len(call) > _LONGEST_CALL:
        raise ValueError("too long")
    node = ast.parse(call.strip(), mode="eval").body
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ValueError("not a plain call")  # noqa: TRY004 - of the text, not of an argument
    if any(int(digits) > _LARGEST for digits in re.findall(r"\d+", call)):
        raise ValueError("too large")
    named = {each.arg: ast.literal_eval(each.value) for each in node.keywords if each.arg}
    return [ast.literal_eval(each) for each in node.args], named


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Raise _TooLongError after so many lines of Python."""
    left = _STEPS

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal left
        left -= event == "line"
        if left < 0:
            raise _TooLongError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
