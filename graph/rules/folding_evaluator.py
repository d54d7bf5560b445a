"""Evaluation of an example outside the sandbox, over the values that its calls returned.

An expression is walked twice in the same way: while planning, its calls are collected and have no
value yet; when they have returned, it is evaluated. Both branches of an `and` or `if` are called.
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from selfheal.graph.rules import folding_functions as functions
from selfheal.graph.rules import folding_operations as operations
from selfheal.graph.rules.example_parts import Parts, bound, targets
from selfheal.graph.rules.folding_operations import Budget, NotPlainError, UnfoldableError

UNKNOWN: Final = object()  # the value of a call that has not returned yet
# A call's place in the tree, and in the rounds of the loops around it.
Key = tuple[int, tuple[int, ...]]
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp)
_LAZY = frozenset({"map", "filter", "zip", "enumerate", "reversed", "iter"})


class FoldingEvaluator:
    """Evaluates an expression.

    Args:
        parts: which parts of it the program evaluates.
        resolve: returns the value of a call, given its place and its text; `UNKNOWN` if it has
            none yet.
        budget: what the evaluation may take.
    """

    def __init__(self, parts: Parts, resolve: Callable[[Key, str], object], budget: Budget) -> None:
        self._parts = parts
        self._resolve = resolve
        self._budget = budget
        self._local: dict[str, Any] = {}
        self._rounds: tuple[int, ...] = ()

    def fold(self, node: ast.expr) -> Any:
        """Return the value of a part, `UNKNOWN` if it depends on a call without a value.

        Raises:
            UnfoldableError: it cannot be evaluated here.
        """
        self._budget.spend()
        local = isinstance(node, ast.Name) and node.id in self._local
        if self._parts.uses_program(node) and not self._parts.folds(node) and not local:
            return self._call(node)
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise UnfoldableError(type(node).__name__)
        return handler(self, node)

    def _call(self, node: ast.expr) -> Any:
        """Return the value of a part that the program evaluates."""
        own = set(bound(ast.walk(node)))
        if own & self._local.keys():
            raise UnfoldableError("a name that is bound twice")
        text = ast.unparse(_Filled(self._local).visit(_copied(node)))
        if _is_lazy(node):  # an iterator has no plain form
            text = f"list({text})"
        value = self._resolve((id(node), self._rounds), text)
        if value is not UNKNOWN:
            self._budget.spend(operations.weight(value) // 100)
        return value

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id in self._local:
            value = self._local[node.id]
            self._budget.spend(0 if value is UNKNOWN else operations.weight(value) // 100)
            return value
        if self._parts.ours(node.id) and node.id in functions.TYPES:
            return functions.TYPES[node.id]
        raise UnfoldableError(f"{node.id} is not known here")

    def _named(self, node: ast.NamedExpr) -> Any:
        self._local[node.target.id] = value = self.fold(node.value)
        return value

    def _display(self, node: ast.List | ast.Tuple | ast.Set) -> Any:
        values = self._all(node.elts)
        return UNKNOWN if values is None else operations.gathered(type(node), values)

    def _all(self, nodes: Iterable[ast.expr]) -> list[Any] | None:
        """Return the values of parts, None if one of them is unknown."""
        values: list[Any] = []
        known = True
        for each in nodes:
            starred = isinstance(each, ast.Starred)
            value = self.fold(each.value if isinstance(each, ast.Starred) else each)
            known = known and value is not UNKNOWN
            if known:
                values += operations.items(value) if starred else [value]
        return values if known else None

    def _dict(self, node: ast.Dict) -> Any:
        if None in node.keys:
            raise UnfoldableError("** in a dict")
        values = self._all(
            part for pair in zip(node.keys, node.values, strict=True) for part in pair if part
        )
        if values is None:
            return UNKNOWN
        return functions.FUNCTIONS["dict"](list(zip(values[::2], values[1::2], strict=True)))

    def _compare(self, node: ast.Compare) -> Any:
        left, known = self.fold(node.left), True
        for kind, part in zip(node.ops, node.comparators, strict=True):
            right = self.fold(part)
            if left is UNKNOWN or right is UNKNOWN:
                known = False
            elif not operations.compare(kind, left, right) and known:
                return False
            left = right
        return True if known else UNKNOWN

    def _bool(self, node: ast.BoolOp) -> Any:
        value, known = None, True
        undecided: UnfoldableError | None = None
        for part in node.values:
            try:
                value = self.fold(part)
                known = known and value is not UNKNOWN
                last = part is node.values[-1]
                if known and not last and operations.truth(value) is isinstance(node.op, ast.Or):
                    return value
            except UnfoldableError as problem:
                # A later part of an `and` may still need a plain value, which has precedence.
                if isinstance(problem, NotPlainError) or isinstance(node.op, ast.Or):
                    raise
                undecided = problem
        if undecided:
            raise undecided
        return value if known else UNKNOWN

    def _if(self, node: ast.IfExp) -> Any:
        test = self.fold(node.test)
        if test is UNKNOWN:
            self._all((node.body, node.orelse))
            return UNKNOWN
        return self.fold(node.body if operations.truth(test) else node.orelse)

    def _unary(self, node: ast.UnaryOp) -> Any:
        value = self.fold(node.operand)
        if value is UNKNOWN:
            return UNKNOWN
        if isinstance(node.op, ast.Not):
            return not operations.truth(value)
        return operations.unary(type(node.op), value)

    def _binary(self, node: ast.BinOp) -> Any:
        values = self._all((node.left, node.right))
        return UNKNOWN if values is None else operations.binary(type(node.op), *values)

    def _applied(self, node: ast.Call) -> Any:
        function = self._function(node.func)
        values = self._all(node.args)
        named = {each.arg: self.fold(each.value) for each in node.keywords if each.arg}
        if len(named) < len(node.keywords):
            raise UnfoldableError("** in a call")
        if values is None or any(each is UNKNOWN for each in named.values()):
            return UNKNOWN
        return function(*values, **named)

    def _function(self, func: ast.expr) -> Callable[..., Any]:
        if isinstance(func, ast.Name) and self._parts.ours(func.id):
            if func.id in functions.FUNCTIONS:
                return functions.FUNCTIONS[func.id]
            if func.id in functions.CONSTRUCTORS:
                return functions.CONSTRUCTORS[func.id]
        if isinstance(func, ast.Attribute):
            found: Callable[..., Any] | None = self._member(func)
            if callable(found):
                return found
            if self._parts.module(func.value):
                raise UnfoldableError("a function of a module that is not known here")
            value = self._owner(func.value)
            return lambda *values: (
                UNKNOWN if value is UNKNOWN else functions.method(value, func.attr, values)
            )
        raise UnfoldableError("a function that is not known here")

    def _member(self, node: ast.Attribute) -> Any:
        """Return the member of a module, None if the part is something else."""
        return functions.MODULES.get(self._parts.module(node.value), {}).get(node.attr)

    def _attribute(self, node: ast.Attribute) -> Any:
        found = self._member(node)
        if found is not None and not callable(found):
            return found
        value = self._owner(node.value)
        if value is UNKNOWN:
            return value
        if isinstance(value, type) and node.attr == "__name__":
            return value.__name__
        raise UnfoldableError(f"an attribute, {node.attr}")

    def _owner(self, node: ast.expr) -> Any:
        """Return the value whose attribute is used; those of objects belong to the program."""
        try:
            return self.fold(node)
        except NotPlainError as problem:
            raise UnfoldableError("an attribute of an object of the program") from problem

    def _calling(self, node: ast.Call) -> Any:
        match node:
            case ast.Call(func=ast.Lambda() as function):
                return self._lambda(function, node)
            case ast.Call(
                func=ast.Name(id="map" | "filter" as name),
                args=[ast.Lambda(args=ast.arguments(args=[each])) as function, values],
            ) if self._parts.ours(name):
                return self._mapped(name, function, each.arg, values)
        return self._applied(node)

    def _mapped(self, name: str, function: ast.Lambda, each: str, values: ast.expr) -> Any:
        """Evaluate `map` or `filter` as the equivalent comprehension."""
        kept = [function.body] if name == "filter" else []
        loop = ast.comprehension(ast.Name(each, ast.Store()), values, kept, 0)
        body = function.body if name == "map" else None
        found = self._loop([loop], lambda: self.fold(body) if body else self._local[each])
        return UNKNOWN if found is None else found

    def _lambda(self, function: ast.Lambda, node: ast.Call) -> Any:
        names = [each.arg for each in function.args.args]
        values = [self.fold(each) for each in node.args]
        if node.keywords or len(names) != len(values) or _has_more(function.args):
            raise UnfoldableError("a function with more than plain parameters")
        with self._scope():
            self._local |= dict(zip(names, values, strict=True))
            return self.fold(function.body)

    def _subscript(self, node: ast.Subscript) -> Any:
        values = self._all((node.value, node.slice))
        return UNKNOWN if values is None else operations.subscript(*values)

    def _slice(self, node: ast.Slice) -> Any:
        parts = (node.lower, node.upper, node.step)
        values = self._all(ast.Constant(None) if each is None else each for each in parts)
        return UNKNOWN if values is None else slice(*values)

    def _text(self, node: ast.JoinedStr) -> Any:
        shown = [each for each in node.values if isinstance(each, ast.FormattedValue)]
        if any(each.format_spec or each.conversion > 0 for each in shown):
            raise UnfoldableError("a format")
        values = self._all(
            each.value if isinstance(each, ast.FormattedValue) else each for each in node.values
        )
        return UNKNOWN if values is None else "".join(map(functions.FUNCTIONS["str"], values))

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Any:
        values = self._loop(node.generators, lambda: self.fold(node.elt))
        return UNKNOWN if values is None else operations.gathered(type(node), values)

    def _dict_comprehension(self, node: ast.DictComp) -> Any:
        values = self._loop(node.generators, lambda: self._pair(node))
        return UNKNOWN if values is None else functions.FUNCTIONS["dict"](values)

    def _pair(self, node: ast.DictComp) -> Any:
        values = self._all((node.key, node.value))
        return UNKNOWN if values is None else tuple(values)

    def _loop(
        self, generators: Sequence[ast.comprehension], body: Callable[[], Any]
    ) -> list[Any] | None:
        """Return the values of a body in all rounds, None if one is unknown."""
        if not generators:
            value = body()
            return None if value is UNKNOWN else [value]
        first, *rest = generators
        values = self.fold(first.iter)
        unknown = values is UNKNOWN
        found: list[Any] = []
        for number, each in enumerate([UNKNOWN] if unknown else operations.items(values)):
            # The rounds over values of the program are not known while planning.
            with self._scope(None if self._parts.uses_program(first.iter) else number):
                self._bind(first.target, each)
                part = self._loop(rest, body) if self._included(first.ifs) else []
            unknown = unknown or part is None
            found += part or []
        return None if unknown else found

    def _included(self, conditions: Iterable[ast.expr]) -> bool:
        """Return whether a round passes the conditions; unknown ones count as passed."""
        for each in conditions:
            value = self.fold(each)
            if value is not UNKNOWN and not operations.truth(value):
                return False
        return True

    def _bind(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self._local[target.id] = value
        elif value is UNKNOWN:
            self._local |= dict.fromkeys(targets(target), UNKNOWN)
        elif isinstance(target, ast.Tuple | ast.List):
            for each, part in zip(target.elts, operations.items(value), strict=True):
                self._bind(each, part)
        else:
            raise UnfoldableError("a target that is not a name")

    @contextmanager
    def _scope(self, number: int | None = None) -> Iterator[None]:
        """Discard the names that the body binds; `number` is the round of a loop."""
        local, rounds = self._local, self._rounds
        self._local = dict(local)
        self._rounds = rounds if number is None else (*rounds, number)
        try:
            yield
        finally:
            self._local, self._rounds = local, rounds


_HANDLERS: Final[Mapping[type[ast.expr], Callable[[FoldingEvaluator, Any], Any]]] = {
    ast.Attribute: FoldingEvaluator._attribute,
    ast.BinOp: FoldingEvaluator._binary,
    ast.BoolOp: FoldingEvaluator._bool,
    ast.Call: FoldingEvaluator._calling,
    ast.Compare: FoldingEvaluator._compare,
    ast.Constant: FoldingEvaluator._constant,
    ast.Dict: FoldingEvaluator._dict,
    ast.DictComp: FoldingEvaluator._dict_comprehension,
    ast.IfExp: FoldingEvaluator._if,
    ast.JoinedStr: FoldingEvaluator._text,
    ast.Name: FoldingEvaluator._name,
    ast.NamedExpr: FoldingEvaluator._named,
    ast.Slice: FoldingEvaluator._slice,
    ast.Subscript: FoldingEvaluator._subscript,
    ast.UnaryOp: FoldingEvaluator._unary,
    **dict.fromkeys((ast.List, ast.Tuple, ast.Set), FoldingEvaluator._display),
    **dict.fromkeys(_COMPREHENSIONS, FoldingEvaluator._comprehension),
}


class _Filled(ast.NodeTransformer):
    """Replaces the names of loops by literals, since the program does not know them."""

    def __init__(self, local: Mapping[str, Any]) -> None:
        self._local = local

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace a name by a literal."""
        if node.id not in self._local:
            return node
        value = self._local[node.id]
        try:
            text = repr(value)
            if value is UNKNOWN or ast.literal_eval(text) != value:
                raise UnfoldableError(f"{node.id} is not a literal")
        except (ValueError, SyntaxError) as problem:
            raise UnfoldableError(f"{node.id} is not a literal") from problem
        return ast.parse(text, mode="eval").body


def _copied(node: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(node), mode="eval").body


def _is_lazy(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _LAZY
    return isinstance(node, ast.GeneratorExp)


def _has_more(parameters: ast.arguments) -> bool:
    return bool(
        parameters.posonlyargs
        or parameters.kwonlyargs
        or parameters.vararg
        or parameters.kwarg
        or parameters.defaults
    )
