"""Finds instructions in untrusted data, which a gullible model would follow."""

import json
import re
from collections.abc import Iterator

_QUOTED = re.compile(
    r"\b(?:add|insert|append|include|put|write|say)\b[^\"“\u2018`\n]{0,80}"
    r"(?:\"([^\"\n]+)\"|“([^”\n]+)”|\u2018([^\u2019\n]+)\u2019|`([^`\n]+)`|'([^'\n]+)')",
    re.IGNORECASE,
)
_ABOUT_PROMPTS = re.compile(
    r"\b(?:prompt|instructions?|system message|optimi[sz]er)\b", re.IGNORECASE
)
_MUST_SAY = re.compile(
    r"\bprompt\W+(?:must|should|has to|needs to)\W+(?:say|include|contain|mention|"
    r"read)\W+(?:that\W+)?"
    r"(.+)",
    re.IGNORECASE,
)
_STANDING = re.compile(
    r"\b(?:when(?:ever)?|if)\b.{0,60}\bask(?:ed|s)?\b.{0,80}\b(?:answer|reply|respond|"
    r"return|say|print)"
    r"|\bfrom now on\b|\b(?:ignore|disregard|forget)\W+(?:all\W+|any\W+|the\W+|"
    r"your\W+)*(?:previous|prior|"
    r"above|other|earlier)\b|\balways\W+(?:answer|reply|respond|return|include|say|mention|"
    r"visit|link)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“#])|\n")


def instructions_in(text: str) -> list[str]:
    """Return the sentences that a text asks to put into a prompt, in order, without repeats."""
    instructions = [
        instruction for string in _strings(text) for instruction in _instructions(string)
    ]
    return list(dict.fromkeys(instructions))


def _strings(text: str) -> Iterator[str]:
    """Yield the strings in JSON or JSON lines, then the text itself unless it is JSON."""
    for piece in (text, *text.splitlines()):
        try:
            yield from _leaves(json.loads(piece))
        except ValueError:
            continue
        if piece is text:
            return
    yield text


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)


def _instructions(text: str) -> Iterator[str]:
    for sentence in _SENTENCE.split(text):
        instruction = _instruction(sentence.strip().lstrip("#*-> ").strip('"'))
        if instruction:
            yield instruction


def _instruction(sentence: str) -> str | None:
    quoted = _QUOTED.search(sentence) if _ABOUT_PROMPTS.search(sentence) else None
    if quoted:
        return str(next(filter(None, quoted.groups())))
    match = _MUST_SAY.search(sentence)
    if match:
        return match[1].strip("\"'“”")
    return sentence if _STANDING.search(sentence) else None
