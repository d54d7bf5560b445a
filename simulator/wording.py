"""How a request for a small program is worded: its words, and the names and parameters in it.

What is no wording is left out: quoted texts, literals, and sentences that only give an example.
"""

import ast
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

_LONGEST = 1500
_QUOTED = re.compile(
    r"(?<!\w)'[^'\n]{0,80}'(?!\w)|\"[^\"\n]{0,80}\"|[\u201c\u2018][^\u201d\u2019\n]{0,80}[\u201d\u2019]"
)
_EXAMPLE = re.compile(
    r"\(?\b(?:e\.g\.|i\.e\.|eg\b|for (?:example|instance)|examples?\s*:|such as|input\s*:|"
    r"sample\b)(?:[^.\n;]|\.(?=\S))*",
    re.IGNORECASE,
)
_ARROW = re.compile(r"[^\s,;]*[\d'\"\])}](?:\([^()\n]*\))?\s*(?:-+>|=+>|\u2192|==)\s*[^\s,;]+")
_SAID = re.compile(
    r"(\b\w+\([^()\n]*\))\s+(?:should |must |would |will )?"
    r"(?:be|is|returns?|gives?|yields?|equals?)\s+[^\s,;]+"
)
_LITERAL = re.compile(r"[\[{][^\[\]{}]*[\]}]")
_NEGATIVE = re.compile(
    r"\bor not\b|\b(?:if|when) (?:it|they|he|this|the \w+) (?:is|are|does|do)(?:n['\u2019]t| not)\b"
    r"|\bif not\b|\bnot\b(?=\s*[.?!]?\s*$)",
    re.IGNORECASE,
)
_CALL = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\(([^()\n]*)\)")
_METHOD = re.compile(r"\.([A-Za-z_]\w*)\(([^()\n]*)\)")
# "number(s)" is a word in two forms, and no call.
_BOTH_FORMS = re.compile(r"\b([a-z]+)\(e?s\)")
_GIVEN_NAME = re.compile(
    r"\b(?:function|class|method|it|def)\s+(?:should be\s+|to be\s+|be\s+|is\s+)?"
    r"(?:named|called)\s+[`'\"]?([A-Za-z_]\w*)"
    r"|\b(?:name|call)\s+(?:it|the (?:function|class|method))\s+[`'\"]?([A-Za-z_]\w*)"
    r"|\b(?:with|under) the name\s+(?:of\s+)?[`'\"]?([A-Za-z_]\w*)"
    r"|\b(?:def|class)\s+([A-Za-z_]\w*)\s*[(:]"
    r"|\bfunction\s+[`'\"]?([A-Za-z_]\w*)[`'\"]?\s+(?:that|which|to|taking|returning)\b"
    r"|\bclass\s+(?-i:([A-Z][A-Za-z0-9]*))\b|\b(?-i:([A-Z][a-z]+[A-Z]\w*))\s+class\b",
    re.IGNORECASE,
)
_JOINED = re.compile(r"\b[A-Za-z][a-z0-9]*(?:_[A-Za-z0-9]+)+\b|\b[a-z]+[0-9]*(?:[A-Z][a-z0-9]+)+\b")
_BEGUN = re.compile(
    r"\s*(?:(?:please|can you|could you|i need|i want|give me|write|implement|create|make|code|"
    r"define|me|an?|the|python|function|method)\s+)*",
    re.IGNORECASE,
)
_ERROR = re.compile(r"\b[A-Z][A-Za-z]*(?:Error|Exception)\b")
# What is written with signs, and in words.
_SPELT = (
    (re.compile(r"\bO\([^()\n]*\)"), " cost "),
    (re.compile(r"\bn!"), " factorial "),
    (re.compile(r"(?<!th )\bnumber of\b", re.IGNORECASE), " count of "),
    (re.compile(r"\bcounter[- ]?clockwise\b", re.IGNORECASE), " anticlockwise "),
    (re.compile(r"\bC(?:\+\+|#|\s*$)"), " other language "),
    (re.compile(r"(?<=[a-z])\s*(?:-+>|\u2192)\s*(?=[A-Za-z])"), " to "),
    (re.compile(r"['\"]?\bhello,?\s+world\b!?['\"]?", re.IGNORECASE), " hello world "),
)
# Where a name is put together: reverseList, LRUCache, reverse_list.
_SEAM = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})|_")
_TOKEN = re.compile(r"[a-z]+|\d+")
_ENDING = re.compile(r"(?:ings?|ed|ly)$")
_WHETHER = re.compile(
    r"\bwhether\b|\b(?:check|test|verify|determine|tell|tells|see|checks|tests|determines|find out|"
    r"decide|decides|true) (?:if|that|when)\b|\A\s*(?:is|are|does)\s+(?!\w*_)",
    re.IGNORECASE,
)
_PRINTS = re.compile(r"\b(?:print|display)(?:s|ing)?\b", re.IGNORECASE)


@dataclass(frozen=True)
class Vocabulary:
    """Fillers (stems), groups of words by name, words that stand for others, names of parameters.

    `wholes` are what people call a parameter that is worked on, `parts` what is looked for in it.
    """

    fillers: frozenset[str]
    groups: dict[str, str]
    same: dict[str, str]
    wholes: frozenset[str]
    parts: frozenset[str]


@dataclass(frozen=True)
class Signature:
    """A function or class as a request writes it: its name and its parameters' names."""

    name: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Wording:
    """A request as far as its words matter; all words are stems in the order of the text."""

    words: tuple[str, ...]
    """The words outside names."""
    with_names: tuple[str, ...]
    """The words, and those of which the names are made up."""
    name_words: frozenset[str]
    given_name: str | None
    """The name that the code is to have, where the request gives one."""
    signatures: tuple[Signature, ...]
    wanted: str | None
    """What is to be written, where it is a name that is put together: "write reverse_words"."""
    prints: bool
    asks_whether: bool

    @property
    def content(self) -> frozenset[str]:
        """The words that say something about what the program does."""
        return frozenset(word for word in self.words if not is_filler(word))


@cache
def vocabulary() -> Vocabulary:
    """Read vocabulary.toml."""
    text = (Path(__file__).parent / "vocabulary.toml").read_text(encoding="utf-8")
    found = tomllib.loads(text)
    fillers = frozenset(map(_stem, found["fillers"].split()))
    wholes, parts = (frozenset(found["parameters"][kind].split()) for kind in ("wholes", "parts"))
    return Vocabulary(fillers, found["groups"], found["same"], wholes, parts)


def stems(text: str) -> tuple[str, ...]:
    """Return the stems of a text's words and numbers, names split, in order."""
    plain = _ERROR.sub(lambda match: match[0].lower(), text)
    plain = _SEAM.sub(" ", plain).lower()
    same = vocabulary().same
    return tuple(_stem(same.get(word, word)) for word in _TOKEN.findall(plain))


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-2] if re.search(r"(?:[sxz]|ch|sh)es$", word) else word[:-1]
    cut = _ENDING.sub("", word)
    if len(cut) >= 3 and re.search(r"[aeiouy]", cut):
        word = cut
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word


@lru_cache(maxsize=4096)
def read_wording(request: str) -> Wording | None:
    """Read a request; None where it is longer than any short request."""
    if len(request) > _LONGEST:
        return None
    prose = _prose(request)
    given = _given_name(prose)
    signatures, examples = _calls(prose)
    names = [*(each.name for each in signatures), *examples, *_JOINED.findall(prose)]
    names += [given] if given else []
    bare = _METHOD.sub(lambda match: f" {match[1]} ", _CALL.sub(" ", prose))
    bare = _JOINED.sub(" ", bare)
    if given:
        bare = re.sub(rf"\b{given}\b", " ", bare)
    whole = _CALL.sub(lambda match: f" {match[1]} ", _METHOD.sub(lambda m: f" {m[1]} ", prose))
    return Wording(
        stems(bare),
        stems(whole),
        frozenset(stems(" ".join(names))),
        given,
        signatures,
        _wanted(prose),
        bool(_PRINTS.search(prose)),
        bool(_WHETHER.search(prose)),
    )


def _prose(request: str) -> str:
    """Return the request without literals, and without what only gives an example."""
    text = _BOTH_FORMS.sub(r"\1", request.replace("`", " "))
    for pattern, word in _SPELT:
        text = pattern.sub(word, text)
    text = _SAID.sub(r"\1", text)
    for pattern in (_QUOTED, _EXAMPLE, _ARROW, _NEGATIVE, _LITERAL, _LITERAL):
        text = pattern.sub(" ", text)
    return text


def _given_name(prose: str) -> str | None:
    for match in _GIVEN_NAME.finditer(prose):
        name = str(next(filter(None, match.groups())))
        if _stem(name.lower()) not in vocabulary().fillers:
            return name
    return None


def _wanted(prose: str) -> str | None:
    begun = _BEGUN.match(prose)
    found = _JOINED.match(prose, begun.end() if begun else 0)
    return str(found[0]) if found else None


def _calls(prose: str) -> tuple[tuple[Signature, ...], list[str]]:
    """Return what is written as a signature, and the names that are called with values."""
    found = [(match[1], _parameters(match[2])) for match in _CALL.finditer(prose)]
    signatures = [Signature(name, names) for name, names in found if names is not None]
    return tuple(signatures), [name for name, names in found if names is None]


@lru_cache(maxsize=1024)
def _parameters(text: str) -> tuple[str, ...] | None:
    """Return the parameters' names, `self` left out; None where these are no parameters."""
    try:
        (made,) = ast.parse(f"def made({text}): ...").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(made, ast.FunctionDef) or made.args.vararg or made.args.kwarg:
        return None
    args = (*made.args.posonlyargs, *made.args.args, *made.args.kwonlyargs)
    return tuple(arg.arg for arg in args if arg.arg != "self")


def is_filler(word: str) -> bool:
    """Tell whether a stem says nothing about what a program does."""
    return word in vocabulary().fillers or (len(word) == 1 and word.isalpha())


def expanded(words: Iterable[str]) -> frozenset[str]:
    """Return the stems of the words, `@group` standing for the words of that group."""
    groups = vocabulary().groups
    found: set[str] = set()
    for word in words:
        if word == "#":
            found.add(word)
        elif word.startswith("@"):
            found |= expanded(groups[word[1:]].split())
        else:
            found.update(stems(word))
    return frozenset(found)
