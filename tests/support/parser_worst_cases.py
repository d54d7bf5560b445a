"""What keeps a parser busy for longest: texts for every parser, bodies for every route."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from selfheal.server.api.middleware import BODY

_ROOM = BODY.size - 2_000  # bytes of a value, so that what stands around it fits too
_VALUES = BODY.values - 200


def _list(item: str, size: int = _ROOM, most: int = _VALUES) -> str:
    """Return a JSON list of as many equal items as fit."""
    many = min(size // (len(item) + 1), most)
    return "[" + ",".join([item] * many) + "]"


def allowed() -> dict[str, str]:
    """Return JSON values that are as large as is allowed."""
    deep = BODY.depth - 4
    return {
        "lists": _list("[]", most=_VALUES // 2),
        "floats": _list("1e-9"),
        "one text": '"' + "x" * _ROOM + '"',
        "keys": "{" + ",".join(f'"{n:x}":{n}' for n in range(_VALUES // 2)) + "}",
        "deep objects": '{"a":' * deep + "1" + "}" * deep,
        "ids": _list('"00000000-0000-4000-8000-000000000000"'),
    }


def any_at_all() -> dict[str, str]:
    """Return texts that are JSON or almost so: as large as is allowed, or larger."""
    return {
        **allowed(),
        "objects": _list("{}", most=_VALUES // 2),
        "texts": _list('""'),
        "escapes": '"' + "\\u0041" * (_ROOM // 6) + '"',
        "nested": _list("[" * 60 + "]" * 60, most=_VALUES // 120),
        "long numbers": _list("9" * 4_299),
        "wrong numbers": _list("9" * 5_000),
        "one float": "0." + "1" * _ROOM,
        "quotation marks": '"' + '\\"' * (_ROOM // 2) + '"',
        "surrogates": '"' + "\\ud800" * (_ROOM // 6) + '"',
        "wide letters": '"' + "\N{PILE OF POO}" * (_ROOM // 4) + '"',
        "blanks": " " * _ROOM + "1",
        "too many lists": _list("[]", most=10**9),
        "too many nested": _list("[" * 60 + "]" * 60, most=10**9),
        "too deep": "[" * _ROOM,
        "never opened": "]" * _ROOM,
        "no quotation ends": '"' * _ROOM,
    }


# Python that is slow to parse, of a given length; literals as well as not.
_PYTHON: Final[dict[str, Callable[[int], str]]] = {
    "f-string": lambda n: "f'''" + "{x}" * ((n - 7) // 3) + "'''",
    "many f-strings": lambda n: "f'{x}'" * (n // 6),
    "list": lambda n: "[" + "1," * ((n - 2) // 2) + "]",
    "texts": lambda n: "''" * ((n - 1) // 2),
    "comparisons": lambda n: "1" + "<1" * ((n - 1) // 2),
    "signs": lambda n: "-" * (n - 1) + "1",
    "calls": lambda n: "f" + "()" * ((n - 1) // 2),
    "brackets": lambda n: "(" * n,
    "arguments": lambda n: "(" + "a=1," * ((n - 1) // 4),
    "collisions": lambda n: "{" + ",".join(str(i * (2**61 - 1)) for i in range(1, n // 21)) + "}",
    "numbers": lambda n: ",".join(["9" * 4_299] * max(1, n // 4_300)),
    "wide letters": lambda n: "\uff41" * n,
}


def python(length: int) -> dict[str, str]:
    """Return Python expressions of at most a length that are slow to parse, or almost ones."""
    return {name: make(length)[:length] for name, make in _PYTHON.items()}


def examples() -> dict[str, list[dict[str, str]]]:
    """Return lists of examples: one as long as is allowed, many of them, and far too many."""
    found: dict[str, list[dict[str, str]]] = {}
    for name, text in python(19_000).items():
        found[f"one {name}"] = [{"call": "f()", "returns": text}]
    for name, text in python(1_990).items():
        found[f"calls {name}"] = [{"call": text, "returns": "1"}] * 9
    for name, text in python(390).items():
        found[f"short {name}"] = [{"call": text, "returns": text}] * 25
    for name, text in python(19_999).items():
        found[f"too many {name}"] = [{"call": "f()", "returns": text}] * 45
    found["nested"] = [{"call": "f()", "returns": "[" * 190 + "]" * 190}] * 50
    return found


def schedules() -> dict[str, str]:
    """Return schedules that come seldom or never, or list much."""
    return {
        "never": "0 0 30 2 *",
        "never either": "0 0 31 2,4,6,9,11 *",
        "seldom": "0 0 29 2 1#5",
        "last": "0 0 29 2 L5",
        "minutes": ",".join(map(str, range(60))) + " * * * *",
        "ranges": "0-59/1," * 26 + "1 * * * *",
        "step": "*/99999999 * * * *",
        "range": "0-999999999 * * * *",
        "blanks": " " * 199,
        "words": "jan " * 50,
    }


def prompt_pair() -> tuple[str, str]:
    """Return two prompts as long as is allowed whose diff is the worst for difflib."""
    dice = random.Random(7)
    kinds = [chr(0x4E00 + n) for n in range(60)]
    lines = dice.choices(kinds, k=10_000)
    return tuple("\n".join(f"{each}\n{filler}" for each in lines) for filler in "ab")  # type: ignore[return-value]


def bodies(
    schema: Mapping[str, Any], right: Mapping[str, Any], special: Mapping[str, list[Any]]
) -> Iterator[tuple[str, bytes]]:
    """Yield bodies of a model by what they try: right ones but for one field.

    Args:
        schema: the model's JSON schema.
        right: a good value for some of its fields.
        special: what else is tried of some fields, beside what any field might be given.
    """
    shapes = allowed()
    fields = schema.get("properties", {})
    for field in fields:
        rest = {key: value for key, value in right.items() if key in fields and key != field}
        tail = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in rest.items())
        values = [
            *shapes.items(),
            *((f"#{n}", json.dumps(v)) for n, v in enumerate(special.get(field, ()))),
        ]
        for name, value in values:
            yield f"{field}: {name}", f'{{"{field}":{value}{"," if tail else ""}{tail}}}'.encode()
