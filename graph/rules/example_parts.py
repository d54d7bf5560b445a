"""Which parts of an example the program evaluates, and which are evaluated outside of it.

A part that only uses the program (calls of its functions, constructions from their results) is
evaluated by the program: it may return anything, and does not know what is expected. Decisions
about the results are not: comparisons, `and`, arithmetic, `all`.
"""

import ast
import builtins
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from selfheal.graph.rules import folding_functions as functions

# The expression does not show what these do.
_HIDING = frozenset(
    {
        *("eval", "exec", "compile", "getattr", "setattr", "delattr", "globals", "locals", "vars"),
        *("__build_class__", "breakpoint", "input", "dir", "id", "hash"),
    }
)
_ORDERING = frozenset({"max", "min", "sorted"})
_OPERATORS = functions.MODULES["operator"]


class Parts:
    """What the names of an expression mean, and which parts the program evaluates.

    Args:
        tree: the expression.
        own: names that the program defines.
        of_objects: a class was requested, whose operators the program applies.
    """

    def __init__(self, tree: ast.expr, own: frozenset[str], of_objects: bool) -> None:
        self._own = own
        self._of_objects = of_objects
        self._memo: dict[tuple[int, str], bool] = {}
        nodes = list(ast.walk(tree))
        self.bound = set(bound(nodes))
        used = {each.id for each in nodes if isinstance(each, ast.Name)}
        self.free = frozenset(name for name in used if self._is_free(name))
        self.hides = any(name in _HIDING and self.ours(name) for name in used)
        self.hides = self.hides or self._passes_comparison(nodes)
        self.derived: set[str] = set()
        self._derive([pair for node in nodes for pair in self._bindings(node)])
        # A name bound by `:=` in a part may be used outside of it, unless all is one part.
        self.folds_walrus = False
        self.folds_walrus = self.folds(tree)
        self._memo.clear()

    def ours(self, name: str) -> bool:
        """Return whether a name has its meaning of Python, not one that the program gave it."""
        return name not in self._own and name not in self.bound

    def uses_program(self, node: ast.AST) -> bool:
        """Return whether a part uses the program."""
        return self._once(node, "uses", self._uses_program)

    def folds(self, node: ast.AST) -> bool:
        """Return whether a part uses the program and must be evaluated outside all the same."""
        return self._once(node, "folds", self._folds)

    def decides(self, node: ast.AST) -> bool:
        """Return whether a part decides something about the program's values, at any depth."""
        return self._once(node, "decides", self._decides)

    def _once(self, node: ast.AST, what: str, decide: Callable[[ast.AST], bool]) -> bool:
        key = id(node), what
        if key not in self._memo:
            self._memo[key] = decide(node)
        return self._memo[key]

    def _is_free(self, name: str) -> bool:
        if name in self._own:
            return True
        known = (
            name in functions.FUNCTIONS
            or name in functions.MODULES
            or name in functions.CONSTRUCTORS
        )
        return name not in self.bound and not known and not hasattr(builtins, name)

    def _uses_program(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.free or node.id in self.derived
        return any(map(self.uses_program, ast.iter_child_nodes(node)))

    def _derive(self, bindings: Sequence[tuple[ast.AST, ast.AST]]) -> None:
        """Find the names that the expression binds to values of the program."""
        found: set[str] | None = None
        while found != self.derived:
            self.derived = found or set()
            self._memo.clear()
            found = {
                name
                for target, value in bindings
                if self.uses_program(value)
                for name in targets(target)
            }

    def _folds(self, node: ast.AST) -> bool:
        if not self.uses_program(node):
            return False
        if isinstance(node, ast.NamedExpr) and self.folds_walrus:
            return True
        if isinstance(node, ast.BinOp | ast.UnaryOp) or self._decides_itself(node):
            return True
        if isinstance(node, ast.Attribute):
            own = self._of_objects and isinstance(node.value, ast.BinOp | ast.UnaryOp)
            return self.decides(node) or (self.folds(node.value) and not own)
        if isinstance(node, ast.Lambda):
            return self.decides(node)
        if self._finds(node) or self._mixes(node):
            return True
        if isinstance(node, ast.Call) and not self._is_function(node.func):
            method = isinstance(node.func, ast.Attribute) and self.folds(node.func)
            return method or self.decides(node)
        return any(map(self.folds, ast.iter_child_nodes(node)))

    def _finds(self, node: ast.AST) -> bool:
        """Return whether a value of the program is looked up in one of the expression."""
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=name)):
                return name in functions.FINDING_METHODS and not self.uses_program(value)
            case ast.Subscript(value=value):
                return not self.uses_program(value)
        return False

    def _mixes(self, node: ast.AST) -> bool:
        """Return whether values of the program and of the expression are combined.

        A set or `max` would compare them.
        """
        parts: Sequence[ast.expr | None] = ()
        match node:
            case ast.List() | ast.Tuple() | ast.Set():
                parts = node.elts
            case ast.Dict():
                parts = node.keys
            case ast.Call(func=ast.Name(id=name)) if (
                self.ours(name) and name in functions.FUNCTIONS
            ):
                parts = node.args
        return len({self.uses_program(each) for each in parts if each}) > 1

    def _decides(self, node: ast.AST) -> bool:
        if not self.uses_program(node):
            return False
        return self._decides_itself(node) or any(map(self.decides, ast.iter_child_nodes(node)))

    def _decides_itself(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Compare | ast.BoolOp | ast.IfExp):
            return True
        if isinstance(node, ast.UnaryOp):
            return isinstance(node.op, ast.Not)
        if self._finds(node) or (isinstance(node, ast.Set | ast.Dict) and self._mixes(node)):
            return True
        if not isinstance(node, ast.Call):
            return False
        func = node.func
        if isinstance(func, ast.Name) and self.ours(func.id) and func.id in _ORDERING:
            return any(map(self._mixes, (node, *node.args)))
        if isinstance(func, ast.Name):
            return self.ours(func.id) and func.id in functions.PREDICATES
        if not isinstance(func, ast.Attribute):
            return False
        return (
            func.attr in functions.PREDICATE_METHODS
            or self.module(func.value) in functions.DECIDING_MODULES
        )

    def _passes_comparison(self, nodes: Iterable[ast.AST]) -> bool:
        """Return whether a comparing function is passed to another, which would call it."""
        called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        return any(
            isinstance(node, ast.Attribute)
            and id(node) not in called
            and (
                node.attr in functions.COMPARING_METHODS
                or (
                    self.module(node.value) == "operator"
                    and node.attr in functions.MODULES["operator"]
                )
            )
            for node in nodes
        )

    def _bindings(self, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        """Yield the targets that a part binds, with what they are bound to.

        Parameters of a lambda are bound to the other arguments, unless it is passed to the program.
        """
        if isinstance(node, ast.comprehension):
            yield node.target, node.iter
        elif isinstance(node, ast.NamedExpr):
            yield node.target, node.value
        elif isinstance(node, ast.Call):
            given = [*node.args, *(each.value for each in node.keywords)]
            known = self._is_function(node.func) or (
                isinstance(node.func, ast.Attribute) and bool(self.module(node.func.value))
            )
            for function in (node.func, *(given if known else ())):
                if isinstance(function, ast.Lambda):
                    yield from ((function.args, each) for each in given if each is not function)

    def module(self, node: ast.expr) -> str:
        """Return the name of the module that a part denotes; "" if none."""
        match node:
            case ast.Name(id=name) if self.ours(name) and name in sys.stdlib_module_names:
                return name
            case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str(name))]):
                return name
        return ""

    def _is_function(self, func: ast.expr) -> bool:
        """Return whether it is a built-in function or class."""
        return isinstance(func, ast.Name) and self.ours(func.id) and hasattr(builtins, func.id)


def bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that parts bind."""
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def targets(target: ast.AST) -> list[str]:
    """Return the names in a target of a loop, or in the parameters of a function."""
    return [
        each.id if isinstance(each, ast.Name) else each.arg
        for each in ast.walk(target)
        if isinstance(each, ast.Name | ast.arg)
    ]
