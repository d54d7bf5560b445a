"""Matches solutions to the signature and the examples of a request, and adapts them to it."""

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

from selfheal.simulator.request_parsing import ParsedRequest, Signature, stems, vocabulary
from selfheal.simulator.source import Entry, invoked_function, parameters_of
from selfheal.simulator.tasks import Task

_MOST_EXAMPLES = 12
_LONGEST_CALL = 400  # characters
_LARGEST = 5_000  # the largest number in a call
_STEPS = 20_000  # lines that an example may execute
# Verbs that ask for a value other than a truth value.
_SEEKING = frozenset(stems("find generate get extract collect produce all"))


@dataclass(frozen=True)
class StatedExample:
    """An example of a request: a call with its result as a literal, or the exception's name."""

    call: str
    returns: str = ""
    raises: str = ""


@dataclass(frozen=True)
class ExampleResults:
    """The results of stated examples on a solution.

    Attributes:
        tried: how many could be tried.
        holding: how many of them hold.
        kind: "int" or "float" if examples hold only once results are converted to it; else empty.
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
    """An example executed more lines of the solution than allowed."""


def signature_for(task: Task, parsed: ParsedRequest) -> Signature | None:
    """Return the signature that a request gives the task's entry point; None without one."""
    if isinstance(task.entry, ast.ClassDef):
        names = {task.name, parsed.given_name}
        return next((signature for signature in parsed.signatures if signature.name in names), None)
    # Without parameters it may be a function that must not be used, as in "without reverse()".
    own = [
        signature
        for signature in parsed.signatures
        if not hasattr(builtins, signature.name)
        and (signature.parameters or not parameters_of(task.entry))
    ]
    return next(
        (signature for signature in own if signature.name == parsed.given_name),
        own[0] if own else None,
    )


def matches_form(task: Task, parsed: ParsedRequest) -> bool:
    """Tell whether a task has the form that the request wants: a class, the parameters."""
    if "class" in parsed.words and isinstance(task.entry, ast.FunctionDef):
        return False
    return _returns_wanted_type(task, parsed) and has_signature(task, parsed)


def _returns_wanted_type(task: Task, parsed: ParsedRequest) -> bool:
    """Tell whether the task returns a truth value exactly if the request is a yes-no question."""
    if isinstance(task.entry, ast.ClassDef) or task.entry.returns is None:
        return True
    decides = ast.unparse(task.entry.returns) == "bool"
    if parsed.asks_whether:
        return decides or "whether" in task.words
    return not (decides and _SEEKING.intersection(parsed.words) - set(stems(task.words)))


def has_signature(task: Task, parsed: ParsedRequest) -> bool:
    """Tell whether the task's entry point accepts the signature of the request, if it gives one."""
    wanted = signature_for(task, parsed)
    if wanted is None or (isinstance(task.entry, ast.ClassDef) and not wanted.parameters):
        return True
    have = [arg.arg for arg in parameters_of(task.entry)]
    runs = invoked_function(task.entry)
    optional = len(runs.args.defaults) if runs else 0
    if not len(have) - optional <= len(wanted.parameters) <= len(have):
        return False
    pairs = zip(have, wanted.parameters, strict=False)
    return len(have) == 1 or not any(_swapped(*pair) for pair in pairs)


def _swapped(have: str, wanted: str) -> bool:
    """Tell whether two names are of different kinds, so that the order of parameters differs."""
    if have == wanted:
        return False
    wholes, parts = vocabulary().wholes, vocabulary().parts
    return (have in wholes and wanted in parts) or (have in parts and wanted in wholes)


@lru_cache(maxsize=1024)
def adapted(task: Task, parsed: ParsedRequest, stated: tuple[StatedExample, ...] = ()) -> Task:
    """Return a task adapted to a request.

    Its solution has the request's names of parameters, prints if the request says so, and returns
    numbers of the type of the stated examples, 2 or 2.0.
    """
    solution = task.solution
    wanted = signature_for(task, parsed)
    if wanted is not None:
        solution = _with_parameters(solution, task, wanted.parameters)
    if isinstance(task.entry, ast.FunctionDef):
        kind = check_examples(task, stated).kind
        if kind:
            solution = _returning(solution, task.name, _AS_KIND[kind])
        if parsed.prints and _can_print(task.entry):
            lines = ast.unparse(task.entry.returns or ast.Constant(None)).startswith("list[str]")
            solution = _returning(solution, task.name, _PRINT_LINES if lines else _PRINT)
    if solution == task.solution:
        return task
    made = replace(task, solution=solution)
    return replace(
        made, examples=tuple(example for example in task.examples if _still_holds(made, example))
    )


def _still_holds(task: Task, example: Mapping[str, str]) -> bool:
    """Tell whether an example of the bank holds for a changed solution, or cannot be tried."""
    result = check_examples(task, (StatedExample(**example),))
    return result.holding == result.tried and not result.kind


def _with_parameters(solution: str, task: Task, names: tuple[str, ...]) -> str:
    have = [arg.arg for arg in parameters_of(task.entry)]
    new = {old: name for old, name in zip(have, names, strict=False) if old != name}
    tree = ast.parse(solution)
    taken = {word for node in ast.walk(tree) for word in _words(node)} | set(dir(builtins))
    if not new or taken.intersection(new.values()):
        return solution
    runs = invoked_function(_entry(tree, task.name))
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
    """Tell whether a function can print its result: no generator and no recursion."""
    if isinstance(entry, ast.ClassDef):
        return False
    nodes = list(ast.walk(entry))
    again = any(isinstance(node, ast.Name) and node.id == entry.name for node in nodes)
    inner = any(isinstance(node, ast.FunctionDef | ast.Lambda) for node in nodes[1:])
    printing = any(isinstance(node, ast.Name) and node.id == "print" for node in nodes)
    return not (again or inner or printing or any(isinstance(node, ast.Yield) for node in nodes))


class _Returning(ast.NodeTransformer):
    """Inserts statements before each return; they may change the value, `result`."""

    def __init__(self, steps: str) -> None:
        self._steps = steps

    def visit_Return(self, node: ast.Return) -> Any:
        """Insert the statements."""
        value = ast.unparse(node.value) if node.value else "None"
        return ast.parse(f"result = {value}\n{self._steps}\nreturn result").body


def _returning(solution: str, name: str, steps: str) -> str:
    tree = ast.parse(solution)
    _Returning(steps).visit(_entry(tree, name))
    return ast.unparse(ast.fix_missing_locations(tree))


@lru_cache(maxsize=1024)
def check_examples(task: Task, stated: tuple[StatedExample, ...]) -> ExampleResults:
    """Run stated examples on the solution of a task.

    Only calls of one function with literal arguments are run, each for a bounded number of steps,
    so that no code but the bank's is executed.
    """
    space: dict[str, Any] = {"__name__": "bank"}
    exec(compile(task.solution, "bank", "exec"), space)  # noqa: S102 - the bank's own code
    results = [_outcome(space[task.name], example) for example in stated[:_MOST_EXAMPLES]]
    kinds = {result for result in results if result in _AS_KIND}
    # If examples want both types of numbers, neither satisfies them.
    kind = kinds.pop() if len(kinds) == 1 else ""
    tried = [result for result in results if result]
    return ExampleResults(len(tried), sum(result in ("holds", kind) for result in tried), kind)


def _outcome(function: Callable[..., Any], example: StatedExample) -> str:
    """Return "holds", "fails", the type of number that would make it hold, or "" if not tried."""
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
    if not example.raises and _comparable(value) == _comparable(wanted):
        return "holds"
    numbers = {type(value), type(wanted)} == {int, float}
    return type(wanted).__name__ if numbers and value == wanted else "fails"


def _comparable(value: object) -> object:
    """Return a value in a form that distinguishes 1, 1.0 and True and rounds floats."""
    if isinstance(value, list | tuple):
        return type(value), [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {_comparable(key): _comparable(item) for key, item in value.items()}
    return type(value), round(value, 9) if isinstance(value, float) else value


def _arguments(call: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and keyword arguments of a call with literal arguments.

    Raises:
        ValueError: it is another expression, or too large.
    """
    if len(call) > _LONGEST_CALL:
        raise ValueError("too long")
    node = ast.parse(call.strip(), mode="eval").body
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ValueError("not a plain call")  # noqa: TRY004 - of the text, not of an argument
    if any(int(digits) > _LARGEST for digits in re.findall(r"\d+", call)):
        raise ValueError("too large")
    named = {
        keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg
    }
    return [ast.literal_eval(argument) for argument in node.args], named


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Raise _TooLongError once the block has executed `_STEPS` lines of Python."""
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
