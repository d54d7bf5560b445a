"""What a request asks for that the sandbox does not have: no prompt can make it pass.

Both are needed: words of the request that ask for it, and a program that failed for want of it. A
program that uses what nobody asked for is a failure like any other.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from selfheal.graph.rules.checks import Facts
from selfheal.graph.sandbox.packages import Packages
from selfheal.graph.sandbox.protocol import Execution
from selfheal.graph.state import Plan

_READ: Final = 64_000  # characters of request and program that are looked at
_LONGEST_NAME: Final = 60
_IMPORT: Final = re.compile(r"^[ \t]*(?:import|from)[ \t]+([A-Za-z_][\w ,.]*)", re.MULTILINE)
_NO_MODULE: Final = re.compile(r"No module named '([A-Za-z_]\w*)")
_EXITED: Final = "the module ended itself with sys.exit("
# A negation and up to three words after it: "without numpy", "do not use the numpy package".
_NEGATED: Final = re.compile(
    r"\b(?:without|avoid(?:ing)?|instead of|rather than|not|no|never|don't|dont)"
    r"(?:\s+[\w.'`-]+){1,3}",
    re.IGNORECASE,
)
# Names under which requests know a module.
_ALSO_KNOWN_AS: Final = {
    "bs4": {"beautifulsoup", "beautifulsoup4"},
    "cv2": {"opencv", "opencv-python"},
    "dateutil": {"python-dateutil"},
    "dotenv": {"python-dotenv"},
    "numpy": {"np"},
    "pandas": {"pd"},
    "pil": {"pillow"},
    "skimage": {"scikit-image"},
    "sklearn": {"scikit-learn", "scikit"},
    "yaml": {"pyyaml"},
}
# Modules whose names are English words: these are named as modules, or not at all.
_WORDS: Final = {"arrow", "attr", "box", "click", "fire", "pendulum", "requests", "rich", "sh"}


@dataclass(frozen=True, slots=True)
class _Lack:
    """How a request asks for something, how a program uses it, how that fails, what to say."""

    asked: re.Pattern[str]
    used: re.Pattern[str]
    raised: frozenset[str]
    words: str


def _lack(words: str, *, asked: str, used: str, raised: str) -> _Lack:
    found = re.compile(asked, re.IGNORECASE)
    return _Lack(found, re.compile(used), frozenset(raised.split()), words)


_INPUT: Final = (
    r"\binput\s*\(|\bstd(?:in|\.in)\b|\bstandard input\b|\buser(?:'s)? input\b|\binput from\b"
    r"|\b(?:ask|prompt)(?:s|ing)?\s+(?:for|(?:the|its|a|an|each)\s+(?:user|player|person)|me|them)"
    r"|\buser\s+(?:types?|enters?)\b|\b(?:keyboard|console|terminal)\b|\binteractive(?:ly)?\b"
)
_LACKS: Final = (
    _lack(
        "input: programs are run without a keyboard, and their standard input is empty",
        asked=_INPUT,
        used=r"\binput\s*\(|\bstdin\b|\bfileinput\b|\bgetpass\b",
        raised="EOFError",
    ),
    _lack(
        "standard input: that of the programs that are run is empty",
        asked=_INPUT,
        used=r"\bstdin\b|\bfileinput\b|\bopen\(0\b",
        raised="ValueError IndexError StopIteration JSONDecodeError json.decoder.JSONDecodeError",
    ),
    _lack(
        "command line arguments: programs are run without any",
        asked=r"\bcommand[- ]line\b|\bargv\b|\bargparse\b|\bcli\b",
        used=r"\bargv\b|\bargparse\b|\boptparse\b",
        raised="IndexError ValueError SystemExit",
    ),
    _lack(
        "a network: programs are run without one",
        asked=r"https?://|\b(?:download|fetch|scrap|crawl|upload)\w*|\b(?:web|http|rest|api|url"
        r"|sockets?|servers?|network|internet|e-?mails?|smtp|ftp)\b",
        used=r"\b(?:socket|urllib|http|ssl|smtplib|ftplib|imaplib|asyncio)\b",
        raised="URLError gaierror ConnectionError ConnectionRefusedError PermissionError OSError",
    ),
    _lack(
        "other processes: programs can start none",
        asked=r"\b(?:sub|multi)?process(?:es|ing)?\b|\bshell\b|\bcommands?\b|\bfork\w*",
        used=r"\b(?:subprocess|multiprocessing|ProcessPoolExecutor)\b"
        r"|\bos\.(?:system|popen|fork|spawn|exec|posix_spawn)\w*",
        raised="PermissionError OSError BlockingIOError",
    ),
)


def lacking(request: str, plan: Plan, code: str, facts: Facts, packages: Packages) -> str:
    """Return what a failed program lacks because the request asks for it, in words; else "".

    Args:
        request: what was asked for; only it and the stated examples count as asking.
        plan: where the stated examples are from.
        code: the program.
        facts: how it failed, if it did.
        packages: what it could import beside the standard library.
    """
    raised = list(_raised(facts.execution))
    imports = any("ModuleNotFoundError" in names for names, _ in raised)
    if not (facts.vetoes or imports):
        return ""
    stated = (each["call"] for each in plan["examples"] if each["origin"] == "stated")
    asked = _NEGATED.sub(" ", "\n".join((request[:_READ], *stated)))
    code = code[:_READ]
    if module := _missing(asked, code, raised, packages):
        return (
            f"the request names {module[:_LONGEST_NAME]}, which programs cannot import here; "
            "an operator can provide it by SELFHEAL_SANDBOX_PACKAGES"
        )
    names = {name for each, _ in raised for name in each}
    for each in _LACKS:
        if names & each.raised and each.used.search(code) and each.asked.search(asked):
            return f"the request asks for {each.words}"
    return ""


def _raised(execution: Execution) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the names and the message of each exception: of the module, or of the calls."""
    if execution.status == "error":
        name, _, message = execution.detail.partition(": ")
        name = "SystemExit" if execution.detail.startswith(_EXITED) else name.partition(" ")[0]
        yield (name,), message
    for each in execution.results:
        if each.raised:
            yield each.raised, each.message


def _missing(
    asked: str, code: str, raised: list[tuple[tuple[str, ...], str]], packages: Packages
) -> str:
    """Return a module that the request names, the program imports, and nothing provides; or ""."""
    wanted = {
        each.split()[0].partition(".")[0]
        for found in _IMPORT.findall(code)
        for each in re.split(r"\bimport\b", found)[0].split(",")
        if each.split()
    }
    for names, message in raised:
        if "ModuleNotFoundError" in names and (match := _NO_MODULE.search(message)):
            wanted.add(match[1])
    known = _words(asked)
    for module in sorted(wanted):
        plain = module.lower()
        spellings = {plain, plain.replace("_", "-"), *_ALSO_KNOWN_AS.get(plain, ())}
        named = bool(spellings & known) if plain not in _WORDS else _as_module(plain, asked)
        if named and not packages.has(module):
            return module
    return ""


def _words(text: str) -> set[str]:
    """Return the words of a text in lower case; of a dotted or hyphened one its first part too."""
    found = {each.strip(".-") for each in re.findall(r"[a-z_][\w.-]*", text.lower())}
    return found | {re.split(r"[.-]", each)[0] for each in found}


def _as_module(name: str, text: str) -> bool:
    """Tell whether a text names a module that is also an English word."""
    before = r"(?:\bimport|\bpip install|\bwith|\busing|\buses?|\bvia)\s+(?:the\s+)?[`'\"]?"
    after = r"[`'\"]?\s+(?:library|package|module)\b|\.[a-z]\w*\("
    pattern = rf"{before}{name}\b|`{name}`|\b{name}(?:{after})"
    return re.search(pattern, text, re.IGNORECASE) is not None
