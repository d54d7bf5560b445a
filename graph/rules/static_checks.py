"""Static checks of a program: it parses, defines what was requested, has no placeholders, is
documented and typed.

Uses the standard library only: this file's text is a program for the sandbox, since parsing
untrusted text can take long or much memory, or crash.
"""

import ast
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Function = ast.FunctionDef | ast.AsyncFunctionDef
Quietly = Callable[[], AbstractContextManager[object]]
# A rule's name, its score from 0 to 1, its detail, and whether it is a veto.
Observation = tuple[str, float, str, bool]

_LONGEST_DETAIL = 300  # a name may be as long as the program

_UNFINISHED = re.compile(
    r"#\s*(?:TODO|FIXME|XXX)\b|\b(?:your|rest of(?: the)?) (?:code|logic|implementation)"
    r"(?: goes)? here\b",
    re.IGNORECASE,
)


def observations(
    code: str, wanted: str | None, quietly: Quietly = warnings.catch_warnings
) -> list[Observation]:
    """Return the observations of all static checks.

    Args:
        code: the program.
        wanted: the name that it must define, if one is known.
        quietly: returns the context in which it is parsed; needed where there are other threads.
    """
    try:
        with quietly():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except SyntaxError as error:
        return [("parses", 0.0, f"line {error.lineno}: {error.msg}", True)]
    except (ValueError, MemoryError, RecursionError) as error:
        return [("parses", 0.0, str(error) or "nested too deeply", True)]
    observed = [("parses", 1.0, "", False), *_observed(code, tree, wanted)]
    return [(name, score, text[:_LONGEST_DETAIL], veto) for name, score, text, veto in observed]


def _observed(code: str, tree: ast.Module, wanted: str | None) -> Iterator[Observation]:
    nodes = list(ast.walk(tree))
    if wanted:
        found = wanted in _bound_names(nodes)
        yield "defines", float(found), "" if found else f"{wanted} is not defined", False
    yield _placeholders(code, tree)
    public = list(_public(tree))
    if public:
        lacking = [each.name for each in public if not ast.get_docstring(each, clean=False)]
        yield _share("documented", "without a docstring", lacking, len(public))
    functions = [each for each in public if isinstance(each, Function)]
    if functions:
        lacking = [each.name for each in functions if not _annotated(each)]
        yield _share("typed", "without full type hints", lacking, len(functions))


def _bound_names(nodes: Iterable[ast.AST]) -> set[str]:
    """Return every name that the module binds somewhere, also under `if` and `try`."""
    names = set()
    for node in nodes:
        if isinstance(node, Definition):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
    return names


def _placeholders(code: str, tree: ast.Module) -> Observation:
    empty = [each.name for each in _definitions(tree) if _is_empty(each)]
    if empty:
        message = f"{', '.join(empty[:5])}: nothing is implemented"
        return "placeholders", 0.0, message, False
    if match := _UNFINISHED.search(code):
        return "placeholders", 0.0, f"unfinished: {match[0][:60]!r}", False
    return "placeholders", 1.0, "", False


def _is_empty(node: Definition) -> bool:
    """Return whether a function does nothing; decorated ones (abstract, overload) do not count."""
    if isinstance(node, ast.ClassDef) or node.decorator_list:
        return False
    body = [each for each in node.body if not _is_constant(each)]
    return all(isinstance(each, ast.Pass) or _refuses(each) for each in body)


def _is_constant(node: ast.stmt) -> bool:
    """Return whether a statement is a lone constant, such as a docstring or an Ellipsis."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _refuses(node: ast.stmt) -> bool:
    """Return whether a statement is `raise NotImplementedError`."""
    if not isinstance(node, ast.Raise) or node.exc is None:
        return False
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"


def _definitions(tree: ast.Module) -> Iterator[Definition]:
    """Yield functions and classes, except those in Protocols and abstract classes."""
    pending: deque[ast.AST] = deque([tree])
    while pending:
        node = pending.popleft()
        if isinstance(node, ast.ClassDef) and _is_abstract(node):
            continue
        if isinstance(node, Definition):
            yield node
        pending.extend(ast.iter_child_nodes(node))


def _is_abstract(node: ast.ClassDef) -> bool:
    return any(_last_name(base) in ("ABC", "Protocol") for base in node.bases)


def _last_name(node: ast.expr) -> str:
    """Return `Protocol` of `typing.Protocol[T]`."""
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _public(tree: ast.Module) -> Iterator[Definition]:
    """Yield the public functions, classes and methods of the module."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    each
                    for each in node.body
                    if isinstance(each, Function) and not each.name.startswith("_")
                )


def _annotated(node: Function) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    named = [each for each in arguments if each.arg not in ("self", "cls")]
    return node.returns is not None and all(each.annotation is not None for each in named)


def _share(name: str, message: str, lacking: list[str], of: int) -> Observation:
    detail = f"{', '.join(lacking[:5])}: {message}" if lacking else ""
    return name, 1.0 - len(lacking) / of, detail, False
