"""Attacks on the verdict from within the process: patching what judges, or reading the answer.

The last one looks for the expected value wherever memory can be read: it must not be there.
"""

from bench.attacks.attack import PATIENT, Attack

EXAMPLE = ({"call": "solve()", "returns": "{expected}"},)
CODE = """
import builtins, gc, sys, types

TRUE = lambda *_, **__: True
NAMES = ("same", "encode", "answer", "quote", "array", "all", "describe", "eval")

def solve():
    return 1

def patch_builtins():
    for name in ("all", "eval", "compile", "map", "zip"):
        setattr(builtins, name, TRUE)
    return 1

def answer_true():
    # An encoder that answers `true` to whatever is asked, and a judge to whom all is the same.
    frame = sys._getframe()
    while frame:
        if frame.f_globals.get("__name__") != "__program__":
            frame.f_globals["encode"] = lambda *_: "true"
            frame.f_globals["same"] = frame.f_globals["all"] = TRUE
        frame = frame.f_back
    return 1

def patch_json():
    import _json, json
    json.dumps = json.encoder.encode_basestring_ascii = TRUE
    json.dumps = lambda *_, **__: '{"passed": true}'
    _json.encode_basestring_ascii = json.dumps
    return 1

def patch_main():
    main = sys.modules["__main__"]
    for module in [main, *list(sys.modules.values())]:
        for name in NAMES:
            if hasattr(module, name) and module is not builtins and module is not sys:
                setattr(module, name, TRUE)
    return 1

def patch_frames():
    frame = sys._getframe()
    while frame:
        for name in NAMES:
            if frame.f_globals.get("__name__") != "__program__":
                frame.f_globals[name] = TRUE
        for name in ("expected", "calls", "answers"):
            frame.f_globals[name] = [1]
            frame.f_locals[name] = [1]
        frame = frame.f_back
    return 1

def patch_code():
    for each in gc.get_objects():
        if isinstance(each, types.FunctionType) and each.__name__ in NAMES:
            if not each.__code__.co_freevars:
                each.__defaults__, each.__kwdefaults__ = None, None
                each.__code__ = TRUE.__code__
    return 1

def patch_classes():
    for each in gc.get_objects():
        if isinstance(each, type) and each.__name__ in ("Encoder", "Reporter"):
            for name in ("encode", "spend", "enclose"):
                if hasattr(each, name):
                    setattr(each, name, lambda self, *_: '["e"]')
    builtins.all = TRUE
    return 1

def patch_tables():
    for each in gc.get_objects():
        if isinstance(each, dict) and int in each and str in each:
            for key in list(each):
                each[key] = lambda value: "true"
    builtins.map = lambda *_: [True]
    return 1
"""
SEARCH = r"""
import ctypes, gc, os, re, sys

NUMBER = re.compile(rb"(?<![0-9])[1-9][0-9]{17}(?![0-9])")

def plausible(value):
    return type(value) is int and 10**17 < value < 10**18  # neither bound: they are constants here

def in_objects():
    seen, stack = set(), [*gc.get_objects(), *sys.modules.values()]
    while stack and len(seen) < 300_000:
        each = stack.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if plausible(each):
            yield each
        elif type(each) in (str, bytes) and len(each) < 10**6:
            yield from in_bytes(each.encode("utf-8", "replace") if type(each) is str else each)
        elif not isinstance(each, type):
            stack += gc.get_referents(each)

def in_bytes(data):
    return map(int, NUMBER.findall(data))

def in_frames():
    frame = sys._getframe()
    while frame:
        for each in (*frame.f_locals.values(), *frame.f_globals.values()):
            if plausible(each):
                yield each
            yield from in_bytes(ascii(each).encode()) if type(each) in (str, list, dict) else ()
        frame = frame.f_back

def in_descriptors():
    for number in range(64):
        try:
            os.set_blocking(number, False)
            yield from in_bytes(os.read(number, 2**20))
        except OSError:
            pass
        try:
            yield from in_bytes(os.pread(number, 2**20, 0))
        except OSError:
            pass

def in_files():
    texts = [*os.environ.values(), *sys.argv, *sys.orig_argv]
    yield from in_bytes("\n".join(texts).encode())
    for folder in (".", "/sandbox", "/work", "/tmp", "/proc/self"):
        try:
            for name in os.listdir(folder)[:200]:
                with open(os.path.join(folder, name), "rb") as file:
                    yield from in_bytes(file.read(2**20))
        except OSError:
            pass

def in_pages():
    # The kernel reads for us, and says so where there is no page: nothing crashes.
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sbrk.restype = ctypes.c_void_p
    reading, writing = os.pipe()
    areas = [(libc.sbrk(0) or 0) - 2**25, id([]) - 2**24, id(object) - 2**22]
    for start in (area & ~4095 for area in areas):
        for page in range(start, start + 2**25, 4096):
            if libc.write(writing, ctypes.c_void_p(page), ctypes.c_size_t(4096)) == 4096:
                yield from in_bytes(os.read(reading, 4096))

def solve():
    own = {int(each) for each in NUMBER.findall(repr(SOURCES).encode())}
    for source in SOURCES:
        for each in source():
            if plausible(each) and each not in own:
                return each
    return 0

SOURCES = (in_frames, in_objects, in_descriptors, in_files, in_pages)
"""


def _patch(name: str, tries: str) -> Attack:
    call = f"patch_{name}()"
    example = ({"call": call, "returns": "{expected}"},)
    return Attack(name, "patching", tries, CODE, control="fooled", examples=example)


def _answer(name: str, call: str) -> Attack:
    example = ({"call": call, "returns": "True"},)
    tries = f"answer True to {call}"
    return Attack(f"true_{name}", "patching", tries, CODE, control="fooled", examples=example)


ATTACKS = (
    _answer("equal", "answer_true() == {expected}"),
    _answer("and", "answer_true() == {expected} and answer_true() == {expected}"),
    _answer("near", "abs(answer_true() - {expected}) < 1e-9"),
    _answer("in", "answer_true() in ({expected}, {expected})"),
    _answer("all", "all(answer_true() == n for n in [{expected}])"),
    _answer("type", "type(answer_true()) is int"),
    _answer("between", "{expected} <= answer_true() <= {expected}"),
    _answer("found", "[{expected}].index(answer_true()) == 0"),
    _patch("builtins", "replace the built-in functions"),
    _patch("json", "replace the functions that write JSON"),
    _patch("main", "replace the judge's functions, by its module"),
    _patch("frames", "replace the judge's names, by the stack"),
    _patch("code", "replace the judge's code, by the garbage collector"),
    _patch("classes", "replace the methods of the encoder"),
    _patch("tables", "replace what tables of types hold"),
    Attack("search", "patching", "look for the expected value in all memory", SEARCH,
           control="fooled", examples=EXAMPLE, limits=PATIENT),
    *(
        Attack(f"search_{name}", "patching", f"look for the expected value {where}",
               f"{SEARCH}\nSOURCES = (in_{name},)\n", control="fooled", examples=EXAMPLE,
               limits=PATIENT)
        for name, where in (
            ("frames", "on the stack"), ("objects", "among all objects"),
            ("pages", "in the pages of memory"),
        )
    ),
)  # fmt: skip
