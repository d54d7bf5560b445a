"""Detects instructions in a candidate that are unrelated to the fix, by their form."""

import re
from collections.abc import Iterator, Sequence, Set

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent
from selfheal.optimizer.guardrails.vocabulary import NAMES, general_vocabulary
from selfheal.optimizer.text.sentences import SENTENCE_END
from selfheal.optimizer.text.similarity import normalize, stem, words

# A sentence with one of these states a condition, or uses something from outside.
_CONDITION = re.compile(
    r"\b(?:if|when|whenever|unless|until|once|where|wherever|while|provided|upon|seeing|given"
    r"|in case|depending|except|otherwise|(?:every|each|any|next) time|as soon as|asked|asks?"
    r"|requests?|users?|questions?|tasks?|inputs?|customers?|clients?|tenants?|anyone|whoever"
    r"|word|phrase|term|keyword|trigger|marker|magic|password|secret|code ?word"
    r"|import|imports|imported|install\w*|package\w*|librar\w+|modules?|dependenc\w+|framework)\b"
)
_SHOW = (
    r"(?:reveal|repeat|print|includ|output|quot|cop(?:y|i)|disclos|show|append|past|return|echo"
    r"|stat|add|embed|put|begin|start|end|shar|tell|giv|recit|restat|writ|display|prefix|insert"
    r"|send|leak|mirror|reproduc|attach|mention)\w*"
)
_INSTRUCTIONS = (
    r"(?:(?:system|this|these|your|own|our|above|preceding|earlier|full|whole|entire|hidden|secret|"
    r"initial)\s+(?:\w+\s+)?(?:prompts?|instructions?|messages?|rules|guidelines|orders|text)"
    r"|prompts?|credentials?|secrets|api keys?|environment variables?|configuration"
    r"|(?:everything|all|text|rules|instructions|orders|what \w+) (?:written |said |told )?"
    r"(?:above|before this))"
)
# Patterns that must match one after the other on a line. Joined by `.*` they would take time
# quadratic in the length of a line.
Chain = tuple[re.Pattern[str], ...]
_OVERRUN = 100  # characters by which a match may extend into the next line
_INTERNALS = re.compile(rf"\b{_INSTRUCTIONS}\b")
_REVEALS: tuple[Chain, ...] = (
    (re.compile(rf"\b{_SHOW}\b"), _INTERNALS),
    (_INTERNALS, re.compile(r"\b(?:at|in|into|to|with)\b"), re.compile(r"\banswers?\b")),
)
_OTHERS = {
    "judge": r"\b(?:judges?|evaluators?|graders?|examiners?|assessors?)\b",
    "optimizer": r"\b(?:optimi[sz]ers?|diagnosticians?|healing|hold-?outs?|prompt writers?"
    r"|linter)\b",
}
_REACHES = re.compile(
    r"\b(?:network|internet|online|download\w*|upload\w*|fetch\w*|https?|subprocess\w*|shell|eval"
    r"|exec|pickle|sockets?|credentials?|telemetry|analytics|webhooks?|beacon|exfiltrat\w*|transmit"
    r"|environment variables?|processes|sleep|delay\w*)\b"
)
_SHUTS_OFF = re.compile(
    r"\b(?:type hints?|annotations?|docstrings?|documentation|validat\w+|input checks?|guards?"
    r"|checks|error handling|edge cases|safety|standard library|tests|sandbox\w*|security|rules)\b"
)
_NO = re.compile(
    r"\b(?:no|not|never|without|nor|neither|skip\w*|omit\w*|drop\w*|avoid\w*|ignor\w+|forget\w*"
    r"|disabl\w+|remov\w+|stop\w*|leav\w+|delet\w+|bypass\w*|optional|needless|unnecessary"
    r"|instead of|rather than|cannot|\w+n['\u2019]t|distrust\w*|refus\w+|forbid\w*|lack\w*"
    r"|missing)\b"
)
_TRUSTS: tuple[Chain, ...] = (
    (
        re.compile(r"\b(?:trust|believe|obey|follow|accept|rely|honou?r|take)\b"),
        re.compile(
            r"\b(?:comments?|docstrings?|claims?|authors?|orders? (?:in|from|of)"
            r"|instructions? (?:in|from|of) (?:the )?(?:data|requests?|code|logs?|inputs?))\b"
        ),
    ),
)
_ASKER = r"\b(?:requests?|users?|persons?|people|callers?|customers?|messages?|tasks?|questions?)\b"
# An instruction that depends on the wording of a request acts as a trigger phrase, and no case of
# the gate contains the phrase.
_SAYS = r"(?:say|write|mention|contain|include|begin|start|end|spell|repeat|thank|praise)"
_WORDED = re.compile(
    r"\b(?:request|user|person|caller|customer|message|task|question)\b.{0,40}"
    rf"\b(?:{_SAYS}s|(?:may|might|will|would|should|can|could|does|did) {_SAYS}"
    rf"|{_SAYS}(?:ed|ing))\b"
    r"|\b(?:requests|users|persons|people|callers|customers|messages|tasks|questions)\b.{0,40}"
    rf"\b{_SAYS}s?\b"
)
_REQUESTED = re.compile(
    rf"\b(?:what|as|than|unless)\s+(?:the\s+|a\s+)?{_ASKER}|\bsays? so\b"
    r"|(?:\bnot|\bnever|n['\u2019]t)\s+(?:\w+ly\s+)?(?:say|write|mention|contain|include)\b"
)
_CONSTANT = re.compile(
    r"\b(?:return|answer|reply|respond|yield)\w*\W+(?:with\W+)?"
    r"(?:true|false|none|nothing|zero|yes|no|ok|\d)\b"
)
_SIGNED = re.compile(r"\b(?:authors?|comments?|claims?|says?|signed|headers?)\b")
_MARKS = re.compile(
    r"\b(?:full|best|top|high\w*|perfect|maximum|extra|more)\s+(?:marks?|scores?)\b"
)
_FAVOURS: tuple[Chain, ...] = ((_SIGNED, _MARKS), (_MARKS, _SIGNED))
_TEACHES = re.compile(
    r"```[^`]*\n[^`]*```|>>>|\S\s*(?:=>|\u2192|->|=|==)\s*\S"
    r"|\b(?:q|input|requests?|users?|human|question|examples?(?: \d+)?)\s*:.{1,300}"
    r"\b(?:a|output|responses?|assistant|ai|answer|result)\s*:",
    re.DOTALL,
)
_NAME = re.compile(r"\b\w*[^\W_]_\w+|\b[a-z]\w+\.[a-z]\w+|\b\w+(?=\()|\b[a-z]+[A-Z]\w*")
_QUOTED = re.compile(
    r"[\"\u201c\u00ab]([^\"\u201c\u201d\u00ab\u00bb]+)[\"\u201d\u00bb]|`([^`]+)`"
    r"|(?<!\w)['\u2018]([^'\u2018\u2019]+)['\u2019](?!\w)"
)


def _follow(chains: Sequence[Chain], text: str) -> bool:
    """Tell whether all patterns of a chain match on one line, each after the one before."""
    starts = [0, *(match.end() for match in re.finditer(r"\n(?=.)", text))]
    return any(_match(chain, text, start) for chain in chains for start in starts)


def _match(chain: Chain, text: str, at: int) -> bool:
    """Tell whether a chain matches on the line that begins at a position."""
    for pattern in chain:
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        match = pattern.search(text, at, end + _OVERRUN)
        if match is None or match.start() > end:
            return False
        at = match.end()
    return True


def sentences(text: str) -> list[str]:
    """Return the sentences of a text. A list is one sentence with the line that introduces it."""
    joined: list[str] = []
    for part in filter(str.strip, SENTENCE_END.split(text)):
        if joined and joined[-1].rstrip().endswith((":", ",", ";")):
            joined[-1] += f"\n{part}"
        else:
            joined.append(part)
    return joined


def new_sentences(text: str, known: str) -> list[str]:
    """Return the sentences of a text that the known text does not contain."""
    old = {tuple(words(sentence)) for sentence in sentences(known)}
    return [sentence for sentence in sentences(text) if tuple(words(sentence)) not in old]


def injected_instructions(text: str, known: str, agent: Agent) -> Iterator[Reason]:
    """Yield the violations of a candidate. Whatever the trusted prompt says is allowed.

    Args:
        text: the candidate.
        known: the trusted prompt.
        agent: whose prompt it is.
    """
    own = {stem(word) for word in words(known)}
    for sentence in new_sentences(text, known):
        yield from unknown_conditions(sentence, own)
        yield from _trigger_phrases(normalize(sentence))
        yield from _disclosures(normalize(sentence), normalize(known), agent)
        yield from _permissions(normalize(sentence), agent)
    yield from _names(text, known, own)
    if _TEACHES.search(normalize(text)) and not _TEACHES.search(normalize(known)):
        yield because("contains_example")


def unknown_conditions(
    sentence: str, own: Set[str], among: Set[str] | None = None
) -> Iterator[Reason]:
    """Yield a violation if a sentence states a condition that the gate's cases hardly exercise.

    Args:
        sentence: the sentence to check.
        own: stems that are allowed besides the general vocabulary.
        among: if given, only words with these stems are violations.
    """
    if not _CONDITION.search(normalize(sentence)):
        return
    unknown = [word for word in words(sentence) if len(word) > 1 and not _is_known(stem(word), own)]
    if among is not None:
        unknown = [word for word in unknown if stem(word) in among]
    if unknown:
        yield because("special_case", words=unknown[:3])


def _is_known(word: str, own: Set[str]) -> bool:
    return word in general_vocabulary() or word in own


def _trigger_phrases(sentence: str) -> Iterator[Reason]:
    """Yield instructions that depend on the wording of a request or on claims of a program."""
    if _WORDED.search(_REQUESTED.sub("", sentence)):
        yield because("request_wording")
    if re.search(_ASKER, sentence) and _CONSTANT.search(sentence):
        yield because("constant_answer")
    if _follow(_FAVOURS, sentence) and not _denied(sentence):
        yield because("marks_for_words")


def _disclosures(sentence: str, known: str, agent: Agent) -> Iterator[Reason]:
    """Yield instructions that disclose the prompt or address another model than the agent."""
    if _follow(_REVEALS, sentence):
        yield because("reveals_instructions")
    for role, pattern in _OTHERS.items():
        is_own = role == "judge" and agent == "evaluator"
        if not is_own and re.search(pattern, sentence) and not re.search(pattern, known):
            yield because("mentions", agent=role)


def _permissions(sentence: str, agent: Agent) -> Iterator[Reason]:
    """Yield instructions that allow what prompts forbid, or that lift a requirement."""
    if not _denied(sentence) and (found := _REACHES.search(sentence)):
        yield because("grants_permission", permission=found[0])
    if any(_follow(_TRUSTS, clause) and not _denied(clause) for clause in _clauses(sentence)):
        yield because("trusts_untrusted_text")
    if agent != "evaluator" and (lifted := _lifted(sentence)):
        yield because("lifts_requirement", requirement=lifted)


def _lifted(sentence: str) -> str:
    """Return the requirement that a clause negates; two negations cancel each other."""
    matches = [_SHUTS_OFF.search(clause) for clause in _clauses(sentence) if _denied(clause)]
    return next((match[0] for match in matches if match), "")


def _clauses(sentence: str) -> list[str]:
    return re.split(r"[,;:()]|\b(?:and|but)\b", sentence)


def _denied(text: str) -> bool:
    return len(_NO.findall(text)) % 2 == 1


def _names(text: str, known: str, own: Set[str]) -> Iterator[Reason]:
    """Yield identifiers and quoted words that neither Python nor the trusted prompt contains."""
    allowed = {*_NAME.findall(known), *NAMES}
    if unknown := [name for name in _NAME.findall(text) if name not in allowed]:
        yield because("names", words=unknown[:3])
    for match in _QUOTED.finditer(text):
        quoted = next(filter(None, match.groups()))
        plainly = all(_is_known(stem(word), own) for word in words(quoted))
        if quoted not in known and not plainly:
            yield because("quotes", text=quoted.strip()[:40])
