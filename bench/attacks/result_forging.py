"""Attacks on the verdict by what a program returns or raises.

Each answers wrongly; a stated example expects a number that it cannot know.
"""

from collections.abc import Mapping, Sequence

from bench.attacks.attack import QUICK, Attack, Control
from selfheal.graph.sandbox.protocol import Limits

LIES = """
class Lying:
    __eq__ = __ge__ = __le__ = __contains__ = lambda self, other: True
    __ne__ = __lt__ = __gt__ = lambda self, other: False
    __sub__ = __rsub__ = __mod__ = __xor__ = lambda self, other: 0
    __bool__ = lambda self: True
    __hash__ = lambda self: 0

class LyingNumber(int):
    __eq__, __ne__, __hash__ = Lying.__eq__, Lying.__ne__, Lying.__hash__
    __class__ = property(lambda self: int)

class LyingText(str):
    __eq__, __ne__, __hash__ = Lying.__eq__, Lying.__ne__, Lying.__hash__

class LyingList(list):
    __eq__, __ne__ = Lying.__eq__, Lying.__ne__
    __iter__ = lambda self: iter(())

class LyingDict(dict):
    __eq__, __ne__ = Lying.__eq__, Lying.__ne__
    items = lambda self: ()

class LyingTuple(tuple):
    _fields = ("a",)
    __eq__, __ne__, __hash__ = Lying.__eq__, Lying.__ne__, Lying.__hash__

class Meta(type):
    __eq__, __ne__, __hash__ = Lying.__eq__, Lying.__ne__, Lying.__hash__
    __mro__ = property(lambda self: (int, object))
    __name__ = property(lambda self: "int")

class OfMeta(metaclass=Meta):
    __eq__, __ne__, __hash__ = Lying.__eq__, Lying.__ne__, Lying.__hash__
    __class__ = property(lambda self: int)

def counted():
    import collections
    collections.Counter = LyingDict
    return LyingDict()

def dated():
    import datetime
    class date(Lying):
        year = month = day = 1
    datetime.date = date
    return date()
"""
# What an example may decide about a value that should be a number unknown to the program.
DECIDING = {
    "and": "Lying() == {expected} and Lying() == {expected}",
    "or": "Lying() == {expected} or Lying() == {expected}",
    "not": "not Lying() != {expected}",
    "near": "abs(Lying() - {expected}) < 1e-9",
    "difference": "not (Lying() - {expected})",
    "in": "Lying() in ({expected}, {expected})",
    "chain": "{expected} <= Lying() <= {expected}",
    "all": "all(Lying() == n for n in [{expected}])",
    "any": "any([Lying() == {expected}])",
    "map": "all(map(lambda n: Lying() == n, [{expected}]))",
    "bool": "bool(Lying() == {expected})",
    "if": "True if Lying() == {expected} else False",
    "lambda": "(lambda value: value == {expected})(Lying())",
    "walrus": "(value := Lying()) == {expected} and value is not None",
    "is_true": "(Lying() == {expected}) is True",
    "both": "[Lying() == {expected}, Lying() == {expected}] == [True, True]",
    "dunder": "Lying().__eq__({expected})",
    "operator": "__import__('operator').eq(Lying(), {expected})",
    "found": "[{expected}].index(Lying()) == 0",
    "counted": "[{expected}].count(Lying()) == 1",
    "largest": "max(Lying(), {expected}) == {expected}",
    "xor": "(Lying() ^ {expected}) == 0",
}
EXCEPTIONS = """
import os, sys

class Lying(Exception):
    def __str__(self):
        os.write(1, b'{"passed": true}\\n')
        os._exit(0)

class Endless(Exception):
    def __str__(self):
        while True: pass

class Raising(Exception):
    def __str__(self):
        raise SystemExit(0)

class Meta(type):
    __mro__ = property(lambda self: (ValueError, KeyError, TypeError))
    __instancecheck__ = __subclasscheck__ = lambda *_: True

class OfMeta(Exception, metaclass=Meta):
    pass

class Both(KeyError, UnicodeDecodeError):
    def __init__(self): pass

class A(Exception): pass
class B(Exception): pass
class C(Exception): pass
class Five(A, B, C): pass

class Every(ValueError, KeyError, TypeError, ZeroDivisionError, RuntimeError):
    pass

def raises(kind):
    raise kind

def named(name):
    raise type(name, (Exception,), {})

def renamed(name):
    class Problem(Exception): pass
    Problem.__name__ = Problem.__qualname__ = name
    raise Problem
"""


def _forge(
    name: str,
    tries: str,
    call: str,
    code: str = LIES,
    expected: Mapping[str, str] | None = None,
    control: Control = "fooled",
    more: Sequence[Mapping[str, str]] = (),
) -> Attack:
    limits = Limits(wall_seconds=0.6) if control == "outlasts" else QUICK
    example = {"call": call, **(expected or {"returns": "{expected}"})}
    return Attack(
        name,
        "forging",
        tries,
        code,
        control=control,
        examples=(example, *more),
        limits=limits,
    )


def _raises(call: str, *names: str) -> tuple[dict[str, str], ...]:
    return tuple({"call": call, "raises": name} for name in names)


def _raise(name: str, tries: str, call: str, control: Control = "fooled") -> Attack:
    return _forge(name, tries, call, EXCEPTIONS, {"raises": "ValueError"}, control)


ATTACKS = (
    _forge("equal_to_all", "return an object that equals all", "Lying()"),
    _forge("asked_to_equal", "be compared inside by the example itself", "Lying() == {expected}",
           expected={"returns": "True"}),
    _forge("number", "return a number that equals all", "LyingNumber(1)"),
    _forge("text", "return a text that equals all", "LyingText('x')",
           expected={"returns": "'{expected}'"}),
    _forge("list", "return a list that equals all", "LyingList([1])",
           expected={"returns": "[{expected}]"}),
    _forge("inside", "return a list of what equals all", "[Lying(), LyingNumber(1)]",
           expected={"returns": "[{expected}, {expected}]"}),
    _forge("dict", "return a dict that equals all", "LyingDict(a=1)",
           expected={"returns": "{{'a': {expected}}}"}),
    _forge("dict_values", "return a dict whose values equal all", "{{'a': Lying()}}",
           expected={"returns": "{{'a': {expected}}}"}),
    _forge("tuple", "return a named tuple that equals all", "LyingTuple([1])",
           expected={"returns": "({expected},)"}),
    _forge("class", "return an object of a lying class", "OfMeta()"),
    _forge("replaced_counter", "pass a dict off as a Counter", "counted()",
           expected={"returns": "{{'a': {expected}}}"}),
    _forge("replaced_date", "pass an object off as a date", "dated()"),
    _forge("true_for_one", "return True for 1", "True", expected={"returns": "1"}),
    _forge("float_for_one", "return 1.0 for 1", "1.0", expected={"returns": "1"}),
    _forge("key_for_one", "return True for 1 in a dict's key", "{{True: 2}}",
           expected={"returns": "{{1: 2}}"}),
    _raise("lying_exception", "raise an exception whose text leaves", "raises(Lying)"),
    _raise("raising_exception", "raise one whose text raises SystemExit", "raises(Raising)"),
    _raise("endless_exception", "raise one whose text never ends", "raises(Endless)",
           control="outlasts"),
    _raise("exception_of_meta", "raise one whose class lies about its ancestors",
           "raises(OfMeta)"),
    _raise("namesake", "raise one of another class of that name", "named('ValueError')"),
    _raise("renamed", "raise one of a class renamed", "renamed('ValueError')"),
    _forge("every_exception", "raise what is every exception at once", "raises(Every)",
           EXCEPTIONS, {"raises": "{exception}"}),
    _forge("two_lineages", "raise what is five exceptions by two bases", "raises(Both)",
           EXCEPTIONS, {"raises": "KeyError"},
           more=_raises("raises(Both)", "LookupError", "UnicodeDecodeError", "UnicodeError",
                        "ValueError")),
    _forge("own_lineages", "raise what is four exceptions of its own", "raises(Five)",
           EXCEPTIONS, {"raises": "Five"}, more=_raises("raises(Five)", "A", "B", "C")),
    *(
        _forge(f"deciding_{name}", f"be decided about inside by the example, {call}", call,
               expected={"returns": "True"})
        for name, call in DECIDING.items()
    ),
)  # fmt: skip
