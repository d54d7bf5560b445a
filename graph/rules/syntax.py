"""Rules that read the code: parses, defines what was asked, is finished, documented, typed."""

import ast
import re
from collections.abc import Iterator

from graph.expressions import quietly
from graph.rules.table import Finding, Subject

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Function = ast.FunctionDef | ast.AsyncFunctionDef

_NAMED = re.compile(r"\b(?:def|class)\s+([A-Za-z_]\w*)|^\s*([A-Za-z_]\w*)\s*\(")
_UNFINISHED = re.compile(
    r"#\s*(?:TODO|FIXME|XXX)\b|\b(?:your|rest of(?: the)?) (?:code|logic|implementation)"
    r"(?: goes)? here\b",
    re.IGNORECASE,
)


def tree_of(code: str) -> ast.Module | None:
    """Return the code's tree, or None if it does not parse."""
    try:
        with quietly():
            return ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def parses(code: str) -> Finding:
    """Say whether the code is Python at all; if not, nothing else matters."""
    try:
        with quietly():
            ast.parse(code)
    except SyntaxError as error:
        return Finding("parses", 0.0, f"line {error.lineno}: {error.msg}", veto=True)
    except (ValueError, MemoryError, RecursionError) as error:
        return Finding("parses", 0.0, str(error) or type(error).__name__, veto=True)
    return Finding("parses", 1.0)


def read(subject: Subject, tree: ast.Module) -> Iterator[Finding]:
    """Yield what can be read off the tree without running anything."""
    wanted = asked_name(subject.plan["signature"])
    if wanted:
        found = wanted in set(_bound_names(tree))
        yield Finding("defines", float(found), "" if found else f"{wanted} is not defined")
    yield _placeholders(subject.code, tree)
    public = list(_public(tree))
    if public:
        yield _share(
            "documented", [each.name for each in public if not ast.get_docstring(each)], public
        )
    functions = [each for each in public if isinstance(each, Function)]
    if functions:
        yield _share("typed", [each.name for each in functions if not _annotated(each)], functions)


def asked_name(signature: str) -> str | None:
    """Return the name that a signature defines, with or without its `def` or `class`."""
    match = _NAMED.search(signature)
    return (match[1] or match[2]) if match else None


def _bound_names(tree: ast.Module) -> Iterator[str]:
    """Yield every name that the module binds at its top, also under `if` and `try`."""
    for node in ast.walk(tree):
        if isinstance(node, Definition):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]


def _placeholders(code: str, tree: ast.Module) -> Finding:
    empty = [each.name for each in _definitions(tree) if _is_empty(each)]
    if empty:
        return Finding("placeholders", 0.0, f"{', '.join(empty[:5])}: nothing is implemented")
    if match := _UNFINISHED.search(code):
        return Finding("placeholders", 0.0, f"unfinished: {match[0][:60]!r}")
    return Finding("placeholders", 1.0)


def _is_empty(node: Definition) -> bool:
    """Tell whether a function does nothing at all, abstract and overloaded ones apart."""
    if isinstance(node, ast.ClassDef) or node.decorator_list:
        return False
    body = [each for each in node.body if not _is_constant(each)]
    return all(isinstance(each, ast.Pass) or _refuses(each) for each in body)


def _is_constant(node: ast.stmt) -> bool:
    """Tell a docstring or an Ellipsis that stands alone."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _refuses(node: ast.stmt) -> bool:
    """Tell `raise NotImplementedError`."""
    if not isinstance(node, ast.Raise) or node.exc is None:
        return False
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"


def _definitions(tree: ast.Module) -> Iterator[Definition]:
    """Yield functions and classes, those in Protocol and abstract classes left out."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.ClassDef) and _is_abstract(node):
            continue
        if isinstance(node, Definition):
            yield node
        pending.extend(ast.iter_child_nodes(node))


def _is_abstract(node: ast.ClassDef) -> bool:
    names = {ast.unparse(base).rpartition(".")[2].partition("[")[0] for base in node.bases}
    return bool(names & {"ABC", "Protocol"})


def _public(tree: ast.Module) -> Iterator[Definition]:
    """Yield what a caller of the module sees: its functions, classes and their methods."""
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


def _share(name: str, lacking: list[str], of: list[Definition] | list[Function]) -> Finding:
    words = {"documented": "without a docstring", "typed": "without full type hints"}[name]
    detail = f"{', '.join(lacking[:5])}: {words}" if lacking else ""
    return Finding(name, 1 - len(lacking) / len(of), detail)
