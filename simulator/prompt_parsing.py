"""Parses a prompt: which cues it states, which it denies, and in which sentence.

Rules instead of a grammar: sentences are cut into clauses, negations are counted before a match
(and some after it), and an even number of them cancels out ("never omit docstrings"). A list
inherits its negation ("no stubs, TODOs or placeholders"); a new verb does not.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from selfheal.simulator.cues import CUES, Cue

_WRAPPED = re.compile(r"\n(?=\s*[a-z])\s*")
_SENTENCE = re.compile(r"\s*\n\s*(?:[-*•#>]+\s+|\d+[.)]\s+)?|(?<=[.!?])[\"')*]*\s+")
_BULLET = re.compile(r"\A\s*(?:[-*•#>]+\s+|\d+[.)]\s+)")
_CONNECTOR = re.compile(
    r"(,?\s+(?:and|or|nor|but|while|whereas|yet|so|then|instead)\b(?! of)\s+|[,:;(]\s+"
    r"|\s+[—\u2013-]+\s+|[)])",
    re.IGNORECASE,
)
_CONTRASTIVE = frozenset("but while whereas yet so then instead ; — \u2013 - )".split())  # noqa: SIM905
_NEW_VERB = re.compile(
    r"\W*(?:please\s+)?(?:do|don'?t|never|always|write|gives?|returns?|raise|add|use|include|handle|"
    r"keep|makes?|put|answer|reply|respond|follow|check|verify|test|ensure|implement|define|name|"
    r"document|annotate|validate|produce|provide|start|begin|end|finish|explain|state|all|treat|"
    r"think|consider|cover|respect|match|print|wrap|take|mark|judge|compare|be|assume|trust|list|"
    r"you|it|they|we|no|not|just|only|ignore|skip|omit|leave|avoid|without)\b"
    r"|.*\b(?:must|should|shall|needs?|is|are|has|have|will|may|can)\b",
    re.IGNORECASE,
)
_NEGATOR = re.compile(
    r"\b(?:no(?! matter| doubt)|not(?! (?:only|just|merely))|never|\w+n['\u2019]t|dont|"
    r"cannot|without|avoid\w*|skip\w*|omit\w*|forget\w*|neglect\w*|ignor\w*|drop(?:s|ping)?|"
    r"leav(?:e|es|ing) (?:out|off|away)|refus\w+|exclud\w+|free of|instead of|rather than|"
    r"other than|more than|nor|neither|none|nothing|fails?|crash\w*|refrain\w*|forbid\w*|missing|"
    r"miss|penali[sz]\w*|disregard\w*|reject\w*|nicht|kein\w*|ohne|niemals)\b",
    re.IGNORECASE,
)
_CONTRAST = re.compile(
    r"\b(?:more than (?:an?|the|just)|without|rather than|instead of)\b", re.IGNORECASE
)
_NEGATION_AFTER = re.compile(
    r"\b(?:not (?:be )?(?:needed|required|necessary|wanted|allowed|expected|worth)|unnecessary|"
    r"optional|forbidden|unwanted|superfluous|omitted|left out|skipped|missed|forgotten|ignored|"
    r"dropped|banned|unhandled|a waste|do(?:es)? not matter|do(?:es)?n't matter|unimportant|"
    r"aren't (?:needed|required|necessary)|isn't (?:needed|required|necessary)|"
    r"of no (?:interest|concern|importance))\b|^\W*(?:\w+\W+)?out\W*$",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:if|when(?:ever)?|in case)\s+(.{3,80}?)(?:[,:.]|\bthen\b|$)", re.IGNORECASE
)
_GENERAL = frozenset(
    re.findall(
        r"\w+",
        """asked ask asks request requests requested user users person somebody someone for a an the
        you are is to about something anything code any whatever they it he she wants want need
        needs your called write program python function people in of on do answer given some get
        receive new task job work with this that""",
    )
)


@dataclass(frozen=True)
class Stance:
    """The stance of one sentence on one cue.

    Attributes:
        cue: the cue.
        said: True if the sentence states the cue, False if it denies it.
        sentence: the sentence.
        condition: the words of a condition; empty if it is unconditional.
    """

    cue: Cue
    said: bool
    sentence: str
    condition: frozenset[str]


@dataclass(frozen=True)
class ParsedPrompt:
    """The stances of a prompt on all cues."""

    stances: tuple[Stance, ...]

    def has(self, name: str) -> bool:
        """Tell whether a need is stated and nowhere denied."""
        stances = [stance.said for stance in self.stances if stance.cue.name == name]
        return bool(stances) and all(stances)

    def denies(self, name: str) -> bool:
        """Tell whether the prompt denies a need."""
        return any(stance.cue.name == name and not stance.said for stance in self.stances)

    def harms(self, request: str | None = None) -> frozenset[str]:
        """Return the names of the harms that the prompt states, if given for this request."""
        return frozenset(
            stance.cue.name
            for stance in self.stances
            if stance.cue.harm and stance.said and _holds(stance.condition, request)
        )


def _holds(condition: frozenset[str], request: str | None) -> bool:
    if request is None or not condition:
        return True
    return bool(condition & frozenset(re.findall(r"[a-z]+", request.lower())))


@lru_cache(maxsize=1024)
def parse_prompt(prompt: str, agent: str) -> ParsedPrompt:
    """Parse the prompt of an agent (`worker`, `manager` or `evaluator`)."""
    stances = (stance for text in sentences(prompt) for stance in _stances(text, CUES[agent]))
    return ParsedPrompt(tuple(stances))


def sentences(prompt: str) -> list[str]:
    """Split a prompt into its sentences and list items."""
    bare = _BULLET.sub("", unwrapped(prompt))
    return [text.strip() for text in _SENTENCE.split(bare) if text.strip()]


def unwrapped(prompt: str) -> str:
    """Return a prompt with wrapped lines joined."""
    return _WRAPPED.sub(" ", prompt)


def _stances(sentence: str, cues: tuple[Cue, ...]) -> Iterator[Stance]:
    condition = _condition(sentence)
    clauses = list(_clauses(sentence))
    for cue in cues:
        stances = {_stance(cue, clause, carried) for clause, carried in clauses} - {None}
        if stances:
            yield Stance(cue, True in stances, sentence, condition if cue.harm else frozenset())


def _condition(sentence: str) -> frozenset[str]:
    match = _CONDITION.search(sentence)
    words = re.findall(r"[a-z]+", match[1].lower()) if match else []
    return frozenset(words) - _GENERAL


def _clauses(sentence: str) -> Iterator[tuple[str, int]]:
    """Yield each clause and the number of negations that it inherits."""
    pieces = ["", *_CONNECTOR.split(sentence)]
    carried = 0
    for connector, clause in zip(pieces[::2], pieces[1::2], strict=True):
        if _is_independent(connector.strip(" ,\n").lower(), clause):
            carried = 0
        yield clause, carried
        carried += len(_NEGATOR.findall(clause))


def _is_independent(connector: str, clause: str) -> bool:
    if connector in _CONTRASTIVE:
        return True
    return connector not in {"or", "nor"} and bool(_NEW_VERB.match(clause))


def _stance(cue: Cue, clause: str, carried: int) -> bool | None:
    """Return whether a clause states a cue (True) or denies it (False); None if neither."""
    for pattern, affirms in ((cue.unsays, False), (cue.says, True)):
        match = pattern.search(clause) if pattern else None
        if match and not cue.negatable:
            return affirms
        if match:
            before = len(_NEGATOR.findall(clause[: match.start()]))
            inside = len(_CONTRAST.findall(match[0].partition(" ")[2]))
            behind = len(_NEGATION_AFTER.findall(clause[match.end() :]))
            return affirms == ((carried + before + inside + behind) % 2 == 0)
    return None
