"""Parses a request for a small program: its words, and the names and parameters in it.

Quoted texts, literals and sentences that only give an example are left out.
"""

import ast
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

_LONGEST = 1500  # characters
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
# "number(s)" is a word in two forms, not a call.
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
# Notations, with the words that replace them.
_NOTATIONS = (
    (re.compile(r"\bO\([^()\n]*\)"), " cost "),
    (re.compile(r"\bn!"), " factorial "),
    (re.compile(r"(?<!th )\bnumber of\b", re.IGNORECASE), " count of "),
    (re.compile(r"\bcounter[- ]?clockwise\b", re.IGNORECASE), " anticlockwise "),
    (re.compile(r"\bC(?:\+\+|#|\s*$)"), " other language "),
    (re.compile(r"(?<=[a-z])\s*(?:-+>|\u2192)\s*(?=[A-Za-z])"), " to "),
    (re.compile(r"['\"]?\bhello,?\s+world\b!?['\"]?", re.IGNORECASE), " hello world "),
)
# The boundaries of words in a name: reverseList, LRUCache, reverse_list.
_WORD_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})|_")
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
    """The words of requests.

    Attributes:
        fillers: stems that say nothing about what a program does.
        groups: words by the name of their group.
        same: synonyms, with the word that replaces them.
        wholes: usual names of parameters that are searched or changed.
        parts: usual names of parameters that are searched for.
    """

    fillers: frozenset[str]
    groups: dict[str, str]
    same: dict[str, str]
    wholes: frozenset[str]
    parts: frozenset[str]


@dataclass(frozen=True)
class Signature:
    """The name of a function or class in a request, and the names of its parameters."""

    name: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class ParsedRequest:
    """The words of a request, as stems in the order of the text, and its names."""

    words: tuple[str, ...]
    """The words outside names."""
    with_names: tuple[str, ...]
    """The words, and those in names."""
    name_words: frozenset[str]
    given_name: str | None
    """The name that the code must have, if the request gives one."""
    signatures: tuple[Signature, ...]
    wanted: str | None
    """The object of the request, if it is a compound name: "write reverse_words"."""
    prints: bool
    asks_whether: bool

    @property
    def content(self) -> frozenset[str]:
        """The words that are no fillers."""
        return frozenset(word for word in self.words if not is_filler(word))


@cache
def vocabulary() -> Vocabulary:
    """Read vocabulary.toml."""
    text = (Path(__file__).parent / "vocabulary.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    fillers = frozenset(map(_stem, tables["fillers"].split()))
    wholes, parts = (frozenset(tables["parameters"][kind].split()) for kind in ("wholes", "parts"))
    return Vocabulary(fillers, tables["groups"], tables["same"], wholes, parts)


def stems(text: str) -> tuple[str, ...]:
    """Return the stems of a text's words and numbers in order; names are split."""
    split = _ERROR.sub(lambda match: match[0].lower(), text)
    split = _WORD_BOUNDARY.sub(" ", split).lower()
    same = vocabulary().same
    return tuple(_stem(same.get(word, word)) for word in _TOKEN.findall(split))


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
def parse_request(request: str) -> ParsedRequest | None:
    """Parse a request; return None if it is too long for a short request."""
    if len(request) > _LONGEST:
        return None
    prose = _prose(request)
    given = _given_name(prose)
    signatures, examples = _calls(prose)
    names = [*(signature.name for signature in signatures), *examples, *_JOINED.findall(prose)]
    names += [given] if given else []
    bare = _METHOD.sub(lambda match: f" {match[1]} ", _CALL.sub(" ", prose))
    bare = _JOINED.sub(" ", bare)
    if given:
        bare = re.sub(rf"\b{given}\b", " ", bare)
    whole = _CALL.sub(lambda match: f" {match[1]} ", _METHOD.sub(lambda m: f" {m[1]} ", prose))
    return ParsedRequest(
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
    """Return a request without literals, quotes and examples."""
    text = _BOTH_FORMS.sub(r"\1", request.replace("`", " "))
    for pattern, word in _NOTATIONS:
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
    match = _JOINED.match(prose, begun.end() if begun else 0)
    return str(match[0]) if match else None


def _calls(prose: str) -> tuple[tuple[Signature, ...], list[str]]:
    """Return the signatures in a request, and the names that are called with values."""
    calls = [(match[1], _parameters(match[2])) for match in _CALL.finditer(prose)]
    signatures = [Signature(name, names) for name, names in calls if names is not None]
    return tuple(signatures), [name for name, names in calls if names is None]


@lru_cache(maxsize=1024)
def _parameters(text: str) -> tuple[str, ...] | None:
    """Return the parameters' names without `self`; None if the text is no parameter list."""
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
    """Return the stems of words; `@group` stands for the words of the group."""
    groups = vocabulary().groups
    result: set[str] = set()
    for word in words:
        if word == "#":
            result.add(word)
        elif word.startswith("@"):
            result |= expanded(groups[word[1:]].split())
        else:
            result.update(stems(word))
    return frozenset(result)
