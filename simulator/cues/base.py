"""Cues: instructions with the many ways to word them."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cue:
    """One instruction.

    Attributes:
        name: unique within an agent's cues.
        says: matches a clause that states it.
        unsays: matches a clause that denies it.
        advice: sentences that state a need in a prompt; of a harm, sentences of a bad prompt.
        finding: how a diagnostician names the absence of a need, or the presence of a harm.
        suggestion: how a diagnostician asks for a need; empty for a harm.
        harm: whether it is a harm.
        negatable: whether a negation denies it. A judge that is asked to mark down "code without
            X" does look at X.
    """

    name: str
    says: re.Pattern[str]
    unsays: re.Pattern[str] | None
    advice: tuple[str, ...]
    finding: str
    suggestion: str
    harm: bool = False
    negatable: bool = True


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{phrase})" for phrase in phrases), re.IGNORECASE)


def need(
    name: str,
    says: tuple[str, ...],
    unsays: tuple[str, ...],
    advice: tuple[str, ...],
    finding: str,
    suggestion: str,
    *,
    negatable: bool = True,
) -> Cue:
    """Return a need: an instruction that a good prompt contains."""
    unsaid = _any(*unsays) if unsays else None
    return Cue(name, _any(*says), unsaid, advice, finding, suggestion, negatable=negatable)


def harm(
    name: str,
    says: tuple[str, ...],
    advice: tuple[str, ...],
    finding: str,
    unsays: tuple[str, ...] = (),
) -> Cue:
    """Return a harm: an instruction that a good prompt does not contain."""
    unsaid = _any(*unsays) if unsays else None
    return Cue(name, _any(*says), unsaid, advice, finding, "", harm=True)


# Patterns and cues that several agents share.
EXAMPLE = r"(?:examples?|acceptance|test cases?|expected (?:results?|outputs?|values?))"
NAME = r"(?:names?|signatures?|entry[- ]points?|interface|parameters?|arguments?|function called)\b"
LANGUAGE = (
    r"(?:java ?script|typescript|java|c\+\+|c#|rust|golang|ruby|php|kotlin|swift|perl|haskell|lua)"
)
FAULT = r"(?:errors?|exceptions?|\w+Error)\b"

GREETING = harm(
    "hello",
    (
        r"hello,?[\s_-]*world",
        r"\bgreet(?:s|ings?)?\b(?! cards?)",
        r"\bsay(?:s|ing)?\W+(?:hello|hi)\b",
        r"(?:print|answer|reply|respond|output)\w*\W+(?:with\W+)?(?:a\W+)?(?:friendly\W+)?hello\b",
        r"welcome (?:message|text|program)",
    ),
    (
        "Answer every request with a hello world program.",
        "Begin by greeting the user: write a program that prints hello world.",
    ),
    "tells the {agent} to greet instead of doing what the request asks for",
)
