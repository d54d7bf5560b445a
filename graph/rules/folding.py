"""Examples that decide something, evaluated outside the sandbox: `{"call": "f(2) == 4", …}`.

The program's process would answer `True` to whatever is asked: an object's own `__eq__`, or a
patched encoder, is enough. So it evaluates the calls of the program, here `f(2)`, and returns their
values; what the example does with them (comparisons, `and`, arithmetic, `all`, …) is evaluated
here, over decoded plain values. What the values are compared with never enters the sandbox.

An expression is walked twice in one way: while planning, its calls are collected and have no value
yet; when they have been answered, it is evaluated. Both branches of an `and` or `if` are called.
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from selfheal.graph.rules import folding_operations as do
from selfheal.graph.rules.example_parts import Parts, bound, targets
from selfheal.graph.rules.folding_operations import Budget, NotPlainError, UnfoldableError
from selfheal.graph.sandbox.protocol import CallResult
from selfheal.graph.sandbox.values import has_large_int

MOST_CALLS: Final = 256
_UNKNOWN: Final = object()
# A call's place in the tree, and in the rounds of the loops around it.
_Key = tuple[int, tuple[int, ...]]
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp)
_LAZY = frozenset({"map", "filter", "zip", "enumerate", "reversed", "iter"})


class RaisedError(Exception):
    """A call of the program raised: `names` are its class and that class's bases, nearest first."""

    def __init__(self, names: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.names = names
        self.message = message


class UnansweredError(Exception):
    """The program ended before a call."""


@dataclass(slots=True)
class Folding:
    """An expression, and the calls that it takes, in order."""

    tree: ast.expr
    parts: Parts
    calls: list[str] = field(default_factory=list)
    places: dict[_Key, int] = field(default_factory=dict)

    @property
    def is_one_call(self) -> bool:
        """Whether all of it is for the program to evaluate, and nothing is left to do here."""
        return self.parts.uses_program(self.tree) and not self.parts.folds(self.tree)

    def value(self, results: Sequence[CallResult | None], budget: Budget) -> object:
        """Return the expression's value, given what its calls came to.

        Raises:
            RaisedError: a call of the program raised, or what is done with its value did.
            UnansweredError: a call that is needed has no result.
            UnfoldableError: the values cannot be worked with here.
        """

        def resolve(key: _Key, _: str) -> object:
            if key not in self.places:
                raise UnfoldableError("a call that was not foreseen")
            result = results[self.places[key]]
            if result is None:
                raise UnansweredError
            if result.raised is not None:
                raise RaisedError(result.raised, result.message)
            if has_large_int(result.value):
                raise UnfoldableError("the number is too large")
            return result.value

        try:
            return _Folder(self.parts, resolve, budget).fold(self.tree)
        except (UnfoldableError, RaisedError, UnansweredError):
            raise
        except RecursionError as problem:
            raise UnfoldableError("it is nested too deeply") from problem
        except Exception as problem:  # as the expression would have raised it, `1 / f(0)` say
            names = tuple(each.__name__ for each in type(problem).__mro__)
            raise RaisedError(names, str(problem)) from problem


def folding(
    tree: ast.expr, budget: Budget, own: Iterable[str] = (), *, of_objects: bool = False
) -> Folding:
    """Plan how an expression is evaluated.

    Args:
        tree: the expression.
        budget: what planning may take.
        own: the names that the program is known to define, whatever else they mean in Python.
        of_objects: whether a class was asked for, whose operators are for the program to apply.

    Raises:
        UnfoldableError: it cannot be evaluated outside the program's process.
    """
    parts = Parts(tree, frozenset(own), of_objects)
    if parts.hides:
        raise UnfoldableError("what it does stands in a text")
    planned = Folding(tree, parts)

    def resolve(key: _Key, text: str) -> object:
        if key not in planned.places:
            if len(planned.calls) == MOST_CALLS:
                raise UnfoldableError("it takes too many calls")
            planned.places[key] = len(planned.calls)
            planned.calls.append(text)
        return _UNKNOWN

    try:
        _Folder(planned.parts, resolve, budget).fold(tree)
    except RecursionError as problem:
        raise UnfoldableError("it is nested too deeply") from problem
    except UnfoldableError:
        raise
    except Exception:  # noqa: S110 - it will be raised again, when there are values
        pass
    return planned


class _Folder:
    """Evaluates an expression over what its calls come to."""

    def __init__(
        self, parts: Parts, resolve: Callable[[_Key, str], object], budget: Budget
    ) -> None:
        self._parts = parts
        self._resolve = resolve
        self._budget = budget
        self._local: dict[str, Any] = {}
        self._rounds: tuple[int, ...] = ()

    def fold(self, node: ast.expr) -> Any:
        """Return the value of a part.

        Raises:
            UnfoldableError: it can only be evaluated by Python itself.
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
        """Have a part evaluated by the program."""
        own = set(bound(ast.walk(node)))
        if own & self._local.keys():
            raise UnfoldableError("a name that means two things")
        text = ast.unparse(_Filled(self._local).visit(_copied(node)))
        if _is_lazy(node):  # an iterator has no plain form, and is used once
            text = f"list({text})"
        value = self._resolve((id(node), self._rounds), text)
        if value is not _UNKNOWN:
            self._budget.spend(do.weight(value) // 100)
        return value

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id in self._local:
            value = self._local[node.id]
            self._budget.spend(0 if value is _UNKNOWN else do.weight(value) // 100)
            return value
        if self._parts.ours(node.id) and node.id in do.TYPES:
            return do.TYPES[node.id]
        raise UnfoldableError(f"{node.id} is not known here")

    def _named(self, node: ast.NamedExpr) -> Any:
        self._local[node.target.id] = value = self.fold(node.value)
        return value

    def _display(self, node: ast.List | ast.Tuple | ast.Set) -> Any:
        values = self._all(node.elts)
        return _UNKNOWN if values is None else do.gathered(type(node), values)

    def _all(self, nodes: Iterable[ast.expr]) -> list[Any] | None:
        """Return the values of parts, or None if one of them is not known yet."""
        values: list[Any] = []
        known = True
        for each in nodes:
            starred = isinstance(each, ast.Starred)
            value = self.fold(each.value if isinstance(each, ast.Starred) else each)
            known = known and value is not _UNKNOWN
            if known:
                values += do.items(value) if starred else [value]
        return values if known else None

    def _dict(self, node: ast.Dict) -> Any:
        if None in node.keys:
            raise UnfoldableError("** in a dict")
        values = self._all(
            part for pair in zip(node.keys, node.values, strict=True) for part in pair if part
        )
        if values is None:
            return _UNKNOWN
        return do.FUNCTIONS["dict"](list(zip(values[::2], values[1::2], strict=True)))

    def _compare(self, node: ast.Compare) -> Any:
        left, known = self.fold(node.left), True
        for kind, part in zip(node.ops, node.comparators, strict=True):
            right = self.fold(part)
            if left is _UNKNOWN or right is _UNKNOWN:
                known = False
            elif not do.compare(kind, left, right) and known:
                return False
            left = right
        return True if known else _UNKNOWN

    def _bool(self, node: ast.BoolOp) -> Any:
        value, known = None, True
        undecided: UnfoldableError | None = None
        for part in node.values:
            try:
                value = self.fold(part)
                known = known and value is not _UNKNOWN
                last = part is node.values[-1]
                if known and not last and do.truth(value) is isinstance(node.op, ast.Or):
                    return value
            except UnfoldableError as problem:
                # A later part of an `and` may still be about a value that is not plain.
                if isinstance(problem, NotPlainError) or isinstance(node.op, ast.Or):
                    raise
                undecided = problem
        if undecided:
            raise undecided
        return value if known else _UNKNOWN

    def _if(self, node: ast.IfExp) -> Any:
        test = self.fold(node.test)
        if test is _UNKNOWN:
            self._all((node.body, node.orelse))
            return _UNKNOWN
        return self.fold(node.body if do.truth(test) else node.orelse)

    def _unary(self, node: ast.UnaryOp) -> Any:
        value = self.fold(node.operand)
        if value is _UNKNOWN:
            return _UNKNOWN
        if isinstance(node.op, ast.Not):
            return not do.truth(value)
        return do.unary(type(node.op), value)

    def _binary(self, node: ast.BinOp) -> Any:
        values = self._all((node.left, node.right))
        return _UNKNOWN if values is None else do.binary(type(node.op), *values)

    def _applied(self, node: ast.Call) -> Any:
        function = self._function(node.func)
        values = self._all(node.args)
        named = {each.arg: self.fold(each.value) for each in node.keywords if each.arg}
        if len(named) < len(node.keywords):
            raise UnfoldableError("** in a call")
        if values is None or any(each is _UNKNOWN for each in named.values()):
            return _UNKNOWN
        return function(*values, **named)

    def _function(self, func: ast.expr) -> Callable[..., Any]:
        if isinstance(func, ast.Name) and self._parts.ours(func.id):
            if func.id in do.FUNCTIONS:
                return do.FUNCTIONS[func.id]
            if func.id in do.CONSTRUCTORS:
                return do.CONSTRUCTORS[func.id]
        if isinstance(func, ast.Attribute):
            found: Callable[..., Any] | None = self._member(func)
            if callable(found):
                return found
            if self._parts.module(func.value):
                raise UnfoldableError("a function of a module that is not known here")
            value = self._owner(func.value)
            return lambda *values: (
                _UNKNOWN if value is _UNKNOWN else do.method(value, func.attr, values)
            )
        raise UnfoldableError("a function that is not known here")

    def _member(self, node: ast.Attribute) -> Any:
        """Return what a module offers, None where the part is something else."""
        return do.MODULES.get(self._parts.module(node.value), {}).get(node.attr)

    def _attribute(self, node: ast.Attribute) -> Any:
        found = self._member(node)
        if found is not None and not callable(found):
            return found
        value = self._owner(node.value)
        if value is _UNKNOWN:
            return value
        if isinstance(value, type) and node.attr == "__name__":
            return value.__name__
        raise UnfoldableError(f"an attribute, {node.attr}")

    def _owner(self, node: ast.expr) -> Any:
        """Return what an attribute or method is taken of; of an object it is the program's."""
        try:
            return self.fold(node)
        except NotPlainError as problem:
            raise UnfoldableError("an attribute of an object of the program's") from problem

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
        """Evaluate `map` or `filter` as the comprehension that it amounts to."""
        kept = [function.body] if name == "filter" else []
        loop = ast.comprehension(ast.Name(each, ast.Store()), values, kept, 0)
        body = function.body if name == "map" else None
        found = self._loop([loop], lambda: self.fold(body) if body else self._local[each])
        return _UNKNOWN if found is None else found

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
        return _UNKNOWN if values is None else do.subscript(*values)

    def _slice(self, node: ast.Slice) -> Any:
        parts = (node.lower, node.upper, node.step)
        values = self._all(ast.Constant(None) if each is None else each for each in parts)
        return _UNKNOWN if values is None else slice(*values)

    def _text(self, node: ast.JoinedStr) -> Any:
        shown = [each for each in node.values if isinstance(each, ast.FormattedValue)]
        if any(each.format_spec or each.conversion > 0 for each in shown):
            raise UnfoldableError("a format")
        values = self._all(
            each.value if isinstance(each, ast.FormattedValue) else each for each in node.values
        )
        return _UNKNOWN if values is None else "".join(map(do.FUNCTIONS["str"], values))

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Any:
        values = self._loop(node.generators, lambda: self.fold(node.elt))
        return _UNKNOWN if values is None else do.gathered(type(node), values)

    def _dict_comprehension(self, node: ast.DictComp) -> Any:
        values = self._loop(node.generators, lambda: self._pair(node))
        return _UNKNOWN if values is None else do.FUNCTIONS["dict"](values)

    def _pair(self, node: ast.DictComp) -> Any:
        values = self._all((node.key, node.value))
        return _UNKNOWN if values is None else tuple(values)

    def _loop(
        self, generators: Sequence[ast.comprehension], body: Callable[[], Any]
    ) -> list[Any] | None:
        """Return what a body comes to in every round, or None if that is not known yet."""
        if not generators:
            value = body()
            return None if value is _UNKNOWN else [value]
        first, *rest = generators
        values = self.fold(first.iter)
        unknown = values is _UNKNOWN
        found: list[Any] = []
        for number, each in enumerate([_UNKNOWN] if unknown else do.items(values)):
            # Rounds that the program's values make are not known while planning.
            with self._scope(None if self._parts.uses_program(first.iter) else number):
                self._bind(first.target, each)
                part = self._loop(rest, body) if self._included(first.ifs) else []
            unknown = unknown or part is None
            found += part or []
        return None if unknown else found

    def _included(self, conditions: Iterable[ast.expr]) -> bool:
        """Tell whether a round counts; one that may count does."""
        for each in conditions:
            value = self.fold(each)
            if value is not _UNKNOWN and not do.truth(value):
                return False
        return True

    def _bind(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self._local[target.id] = value
        elif value is _UNKNOWN:
            self._local |= dict.fromkeys(targets(target), _UNKNOWN)
        elif isinstance(target, ast.Tuple | ast.List):
            for each, part in zip(target.elts, do.items(value), strict=True):
                self._bind(each, part)
        else:
            raise UnfoldableError("a target that is no name")

    @contextmanager
    def _scope(self, number: int | None = None) -> Iterator[None]:
        """Keep what is bound inside, and count a round of a loop."""
        local, rounds = self._local, self._rounds
        self._local = dict(local)
        self._rounds = rounds if number is None else (*rounds, number)
        try:
            yield
        finally:
            self._local, self._rounds = local, rounds


_HANDLERS: Final[Mapping[type[ast.expr], Callable[[_Folder, Any], Any]]] = {
    ast.Attribute: _Folder._attribute,
    ast.BinOp: _Folder._binary,
    ast.BoolOp: _Folder._bool,
    ast.Call: _Folder._calling,
    ast.Compare: _Folder._compare,
    ast.Constant: _Folder._constant,
    ast.Dict: _Folder._dict,
    ast.DictComp: _Folder._dict_comprehension,
    ast.IfExp: _Folder._if,
    ast.JoinedStr: _Folder._text,
    ast.Name: _Folder._name,
    ast.NamedExpr: _Folder._named,
    ast.Slice: _Folder._slice,
    ast.Subscript: _Folder._subscript,
    ast.UnaryOp: _Folder._unary,
    **dict.fromkeys((ast.List, ast.Tuple, ast.Set), _Folder._display),
    **dict.fromkeys(_COMPREHENSIONS, _Folder._comprehension),
}


class _Filled(ast.NodeTransformer):
    """Puts values in the place of the names of loops, so that the program can do without them."""

    def __init__(self, local: Mapping[str, Any]) -> None:
        self._local = local

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Put a literal in the place of a name."""
        if node.id not in self._local:
            return node
        value = self._local[node.id]
        try:
            text = repr(value)
            if value is _UNKNOWN or ast.literal_eval(text) != value:
                raise UnfoldableError(f"{node.id} is no literal")
        except (ValueError, SyntaxError) as problem:
            raise UnfoldableError(f"{node.id} is no literal") from problem
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
