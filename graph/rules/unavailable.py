"""Requests for what the sandbox lacks, such as a package or a network: no prompt can satisfy them.

It takes both words of the request that ask for it and a program that failed without it. A program
that uses something unrequested is an ordinary failure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from selfheal.graph.rules.checks import CheckResults
from selfheal.graph.sandbox.packages import Packages
from selfheal.graph.sandbox.protocol import Execution
from selfheal.graph.state import Plan

_READ: Final = 64_000  # characters of request and program that are searched
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
# Names of modules in requests.
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
# Modules whose names are English words: requests must name them as modules.
_WORDS: Final = {"arrow", "attr", "box", "click", "fire", "pendulum", "requests", "rich", "sh"}


@dataclass(frozen=True, slots=True)
class _Lack:
    """Something that the sandbox lacks.

    Attributes:
        asked: matches requests for it.
        used: matches programs that use it.
        raised: names of exceptions that its use raises.
        words: the message.
    """

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


def missing_resource(
    request: str, plan: Plan, code: str, results: CheckResults, packages: Packages
) -> str:
    """Return why a program failed for lack of something requested; "" if it did not.

    Args:
        request: only it and the stated examples count as requesting something.
        plan: has the stated examples.
        code: the program.
        results: the results of its checks.
        packages: what it could import beside the standard library.
    """
    raised = list(_raised(results.execution))
    imports = any("ModuleNotFoundError" in names for names, _ in raised)
    if not (results.vetoes or imports):
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
    """Yield class names and message of each exception of the module and the calls."""
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
    """Return a module that the request names, the program imports, and is missing; or ""."""
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
    """Return the words of a text in lower case, and the first parts of dotted or hyphened ones."""
    found = {each.strip(".-") for each in re.findall(r"[a-z_][\w.-]*", text.lower())}
    return found | {re.split(r"[.-]", each)[0] for each in found}


def _as_module(name: str, text: str) -> bool:
    """Return whether a text names a module whose name is also an English word."""
    before = r"(?:\bimport|\bpip install|\bwith|\busing|\buses?|\bvia)\s+(?:the\s+)?[`'\"]?"
    after = r"[`'\"]?\s+(?:library|package|module)\b|\.[a-z]\w*\("
    pattern = rf"{before}{name}\b|`{name}`|\b{name}(?:{after})"
    return re.search(pattern, text, re.IGNORECASE) is not None
