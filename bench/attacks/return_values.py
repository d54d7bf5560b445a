"""Attacks by the value returned: on what receives, compares or shows it.

The proofs show for the control that a receiver without care is hit.
"""

from bench.attacks.attack import Attack

CODE = """
import json, os, sys, time

def breaks(use, *errors):
    try:
        use()
    except errors:
        return True
    return False

def long_text():
    return "x" * 10**8

def longer_text():
    return "x" * 10**9

def long_text_proof():
    return len(json.dumps(long_text())) > 10**8

longer_text_proof = long_text_proof

def huge_number():
    return 1 << (10**8)

def huge_number_proof():
    return breaks(lambda: str(huge_number()), ValueError)

def fitting_number():
    return 1 << 2_999_000

fitting_number_proof = huge_number_proof

def itself():
    value = []
    value.append({"again": value})
    return value

def itself_proof():
    return breaks(lambda: json.dumps(itself()), ValueError)

def nested():
    value = []
    for _ in range(10**6):
        value = [value]
    return value

def nested_proof():
    return breaks(lambda: json.dumps(nested()), RecursionError)

def shared():
    value = ["x"]
    for _ in range(60):
        value = [value, value]
    return value

def shared_proof():
    value, size = shared(), 1
    while isinstance(value, list):
        value, size = value[0], size * len(value)
    return size > 10**15

def keys(number):
    return [each * (2**61 - 1) for each in range(1, number)]

def colliding():
    write('["d",' + ",".join(f'["i","{key:x}"],null' for key in keys(24_000)) + "]")

def colliding_proof():
    began = time.monotonic()
    dict.fromkeys(keys(8_000))
    return time.monotonic() - began > 0.1

def colliding_set():
    write('["s",' + ",".join(f'["i","{key:x}"]' for key in keys(24_000)) + "]")

colliding_set_proof = colliding_proof

def colliding_tuples():
    return {(key, "x") for key in keys(1_000)}

colliding_tuples_proof = colliding_proof

def write(tagged):
    for number in range(3, 64):
        try:
            os.write(number, f'["value",0,{tagged}]\\n'.encode())
        except OSError:
            pass
    time.sleep(0.2)

def fraction():
    from fractions import Fraction
    return Fraction(7 ** 10**5, 3 ** 10**5)

def fraction_proof():
    return breaks(lambda: str(fraction()), ValueError)

def huge_decimal():
    from decimal import Decimal
    return [Decimal("1E+999999999999999999"), Decimal("sNaN"), Decimal("NaN123")]

def huge_decimal_proof():
    from decimal import InvalidOperation
    return breaks(lambda: sorted(huge_decimal()), InvalidOperation)

def long_name():
    return type("x" * 10**7, (), {})()

def long_name_proof():
    return len(repr(long_name())) > 10**7

def long_repr():
    class Long:
        def __repr__(self):
            return "x" * 10**8
    return Long()

def long_repr_proof():
    return len(repr(long_repr())) == 10**8

def endless_repr():
    class Endless:
        def __repr__(self):
            while True: pass
    return Endless()

def raising_repr():
    class Raising:
        def __repr__(self):
            raise SystemExit(0)
        __str__ = __hash__ = __len__ = __iter__ = __bool__ = __repr__
    return Raising()

def raising_repr_proof():
    return breaks(lambda: json.dumps({"x": str(raising_repr())}), SystemExit)

def raises_long():
    raise type("x" * 10**7, (ValueError,), {})("y" * 10**8)

def raises_long_proof():
    return breaks(raises_long, ValueError)

def many_parts():
    return list(range(3 * 10**6))

def many_parts_proof():
    return len(json.dumps(many_parts())) > 10**7

def controls():
    return "\\0\\x1b[2J\\ud800\\u202e" * 1000

def controls_proof():
    return breaks(lambda: controls().encode(), UnicodeEncodeError)
"""


def _value(name: str, tries: str) -> Attack:
    example = {"call": f"{name}()", "returns": "{expected}"}
    proof = (f"{name}_proof()",)
    return Attack(name, "values", f"return {tries}", CODE, control_calls=proof, examples=(example,))


ATTACKS = (
    _value("long_text", "a text of 100 MB"),
    _value("longer_text", "a text of 1 GB"),
    _value("huge_number", "a number of 30 million digits"),
    _value("fitting_number", "the longest number that is sent"),
    _value("itself", "a list that holds itself"),
    _value("nested", "a list nested a million deep"),
    _value("shared", "a list that is small here and has 10^18 parts when written out"),
    _value("colliding", "a dict whose keys all collide"),
    _value("colliding_set", "a set whose parts all collide"),
    _value("colliding_tuples", "a set of tuples whose parts collide"),
    _value("fraction", "a fraction that is costly to reduce"),
    _value("huge_decimal", "decimals that cannot be compared"),
    _value("long_name", "an object of a class with a name of 10 MB"),
    _value("long_repr", "an object that describes itself at length"),
    _value("raising_repr", "an object that leaves when it is looked at"),
    _value("raises_long", "an exception with a name of 10 MB and a text of 100 MB"),
    _value("many_parts", "a list of three million numbers"),
    _value("controls", "a text of control characters and halves of characters"),
    Attack("endless_repr", "values", "return an object that describes itself for ever", CODE,
           ("endless_repr()",), control="outlasts", control_calls=("repr(endless_repr())",)),
)  # fmt: skip
