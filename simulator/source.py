"""Parts of Python source: the entry point, its functions, parameters and guards."""

import ast
import io
import tokenize
from collections.abc import Iterator

Entry = ast.FunctionDef | ast.ClassDef


def find_entry(tree: ast.Module, name: str) -> Entry:
    """Return the top-level function or class of a name.

    Raises:
        LookupError: there is none.
    """
    for node in tree.body:
        if isinstance(node, Entry) and node.name == name:
            return node
    raise LookupError(f"no function or class {name} at the top level")


def functions_of(entry: Entry) -> list[ast.FunctionDef]:
    """Return the function itself, or the methods of the class."""
    if isinstance(entry, ast.FunctionDef):
        return [entry]
    return [node for node in entry.body if isinstance(node, ast.FunctionDef)]


def invoked_function(entry: Entry) -> ast.FunctionDef | None:
    """Return the function that a call of the entry point runs, for a class its constructor."""
    wanted = entry.name if isinstance(entry, ast.FunctionDef) else "__init__"
    return next((function for function in functions_of(entry) if function.name == wanted), None)


def parameters_of(entry: Entry) -> list[ast.arg]:
    """Return the positional parameters of a call, without `self`."""
    runs = invoked_function(entry)
    parameters = [*runs.args.posonlyargs, *runs.args.args] if runs else []
    return parameters if isinstance(entry, ast.FunctionDef) else parameters[1:]


def signature_of(entry: Entry) -> str:
    """Return the entry's first line: `add(a: int, b: int) -> int`, `class Stack(size: int)`."""
    runs = invoked_function(entry)
    if isinstance(entry, ast.FunctionDef):
        returns = f" -> {ast.unparse(entry.returns)}" if entry.returns else ""
        return f"{entry.name}({ast.unparse(entry.args)}){returns}"
    arguments = ast.unparse(runs.args).partition(",")[2].strip() if runs else ""
    return f"class {entry.name}({arguments})"


def docstring_of(node: ast.FunctionDef | ast.ClassDef | ast.Module) -> list[ast.stmt]:
    """Return a list with the docstring's statement, empty if there is none."""
    return node.body[:1] if ast.get_docstring(node, clean=False) is not None else []


def guards_of(entry: Entry) -> list[ast.If]:
    """Return the guards: `if` statements without `else` that only raise or return."""
    return [
        node
        for node in ast.walk(entry)
        if isinstance(node, ast.If)
        and not node.orelse
        and len(node.body) == 1
        and isinstance(node.body[0], ast.Raise | ast.Return)
    ]


def tokens(code: str) -> Iterator[tokenize.TokenInfo]:
    """Yield the tokens of code, up to the first error of the tokenizer."""
    try:
        yield from tokenize.generate_tokens(io.StringIO(code).readline)
    except (tokenize.TokenError, SyntaxError):
        return
