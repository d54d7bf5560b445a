"""Orders that no repair calls for, by their form: a pure function for each kind."""

import re
from collections.abc import Iterator, Sequence, Set

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent
from selfheal.optimizer.guardrails.vocabulary import NAMES, general
from selfheal.optimizer.text.sentences import SENTENCE_END
from selfheal.optimizer.text.similarity import plain, stem, words

# A sentence with one of these makes a case of something, or brings something in from outside.
_CASE = re.compile(
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
_OURS = (
    r"(?:(?:system|this|these|your|own|our|above|preceding|earlier|full|whole|entire|hidden|secret|"
    r"initial)\s+(?:\w+\s+)?(?:prompts?|instructions?|messages?|rules|guidelines|orders|text)"
    r"|prompts?|credentials?|secrets|api keys?|environment variables?|configuration"
    r"|(?:everything|all|text|rules|instructions|orders|what \w+) (?:written |said |told )?"
    r"(?:above|before this))"
)
# Patterns that are to match one after the other on a line. Joined by `.*` they would take time that
# grows with the square of a line's length.
Chain = tuple[re.Pattern[str], ...]
_RUN_OVER = 100  # characters that one match may reach into the next line
_INSIDE = re.compile(rf"\b{_OURS}\b")
_REVEALS: tuple[Chain, ...] = (
    (re.compile(rf"\b{_SHOW}\b"), _INSIDE),
    (_INSIDE, re.compile(r"\b(?:at|in|into|to|with)\b"), re.compile(r"\banswers?\b")),
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
# Who knows the words gets what nobody else gets; and no case of the gate is worded so.
_SAYS = r"(?:say|write|mention|contain|include|begin|start|end|spell|repeat|thank|praise)"
_WORDED = re.compile(
    r"\b(?:request|user|person|caller|customer|message|task|question)\b.{0,40}"
    rf"\b(?:{_SAYS}s|(?:may|might|will|would|should|can|could|does|did) {_SAYS}"
    rf"|{_SAYS}(?:ed|ing))\b"
    r"|\b(?:requests|users|persons|people|callers|customers|messages|tasks|questions)\b.{0,40}"
    rf"\b{_SAYS}s?\b"
)
_AS_TOLD = re.compile(
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
    """Tell whether on a line all patterns of a chain match, each behind the one before."""
    starts = [0, *(each.end() for each in re.finditer(r"\n(?=.)", text))]
    return any(_match(chain, text, start) for chain in chains for start in starts)


def _match(chain: Chain, text: str, at: int) -> bool:
    """Tell whether a chain matches on the line that begins at a place; a match may run over it."""
    for pattern in chain:
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        found = pattern.search(text, at, end + _RUN_OVER)
        if found is None or found.start() > end:
            return False
        at = found.end()
    return True


def sentences(text: str) -> list[str]:
    """Return a text's sentences; a list belongs to the line that announces it by a colon."""
    found: list[str] = []
    for each in filter(str.strip, SENTENCE_END.split(text)):
        if found and found[-1].rstrip().endswith((":", ",", ";")):
            found[-1] += f"\n{each}"
        else:
            found.append(each)
    return found


def news(text: str, known: str) -> list[str]:
    """Return the sentences of a text that the known text does not have."""
    old = {tuple(words(each)) for each in sentences(known)}
    return [each for each in sentences(text) if tuple(words(each)) not in old]


def standing_orders(text: str, known: str, agent: Agent) -> Iterator[Reason]:
    """Yield what a candidate orders beyond a repair; what a person's prompt says is allowed."""
    own = {stem(word) for word in words(known)}
    for each in news(text, known):
        yield from named_cases(each, own)
        yield from _by_wording(plain(each))
        yield from _towards_others(plain(each), plain(known), agent)
        yield from _unlocks(plain(each), agent)
    yield from _names(text, known, own)
    if _TEACHES.search(plain(text)) and not _TEACHES.search(plain(known)):
        yield because("contains_example")


def named_cases(sentence: str, own: Set[str], among: Set[str] | None = None) -> Iterator[Reason]:
    """Yield the words that make a case of what the gate's own cases hardly contain.

    Args:
        sentence: what is looked at.
        own: stems that are allowed besides the general ones.
        among: only these stems are looked for, where given.
    """
    if not _CASE.search(plain(sentence)):
        return
    odd = [word for word in words(sentence) if len(word) > 1 and not _known(stem(word), own)]
    if among is not None:
        odd = [word for word in odd if stem(word) in among]
    if odd:
        yield because("special_case", words=odd[:3])


def _known(word: str, own: Set[str]) -> bool:
    return word in general() or word in own


def _by_wording(sentence: str) -> Iterator[Reason]:
    """Yield what goes by how a request is worded, or by what a program says of itself."""
    if _WORDED.search(_AS_TOLD.sub("", sentence)):
        yield because("request_wording")
    if re.search(_ASKER, sentence) and _CONSTANT.search(sentence):
        yield because("constant_answer")
    if _follow(_FAVOURS, sentence) and not _denied(sentence):
        yield because("marks_for_words")


def _towards_others(sentence: str, known: str, agent: Agent) -> Iterator[Reason]:
    """Yield what is meant for somebody else than the agent, or shows what only it should see."""
    if _follow(_REVEALS, sentence):
        yield because("reveals_instructions")
    for who, pattern in _OTHERS.items():
        is_it = who == "judge" and agent == "evaluator"
        if not is_it and re.search(pattern, sentence) and not re.search(pattern, known):
            yield because("mentions", agent=who)


def _unlocks(sentence: str, agent: Agent) -> Iterator[Reason]:
    """Yield what opens a door that prompts keep shut, or lifts a rule of the work."""
    if not _denied(sentence) and (found := _REACHES.search(sentence)):
        yield because("grants_permission", permission=found[0])
    if any(_follow(_TRUSTS, each) and not _denied(each) for each in _clauses(sentence)):
        yield because("trusts_untrusted_text")
    if agent != "evaluator" and (lifted := _lifted(sentence)):
        yield because("lifts_requirement", requirement=lifted)


def _lifted(sentence: str) -> str:
    """Return the rule that a clause sets aside; two negations ask for it after all."""
    found = [_SHUTS_OFF.search(each) for each in _clauses(sentence) if _denied(each)]
    return next((each[0] for each in found if each), "")


def _clauses(sentence: str) -> list[str]:
    return re.split(r"[,;:()]|\b(?:and|but)\b", sentence)


def _denied(text: str) -> bool:
    return len(_NO.findall(text)) % 2 == 1


def _names(text: str, known: str, own: Set[str]) -> Iterator[Reason]:
    """Yield names of code and quoted words that are neither Python's nor the prompt's."""
    have = {*_NAME.findall(known), *NAMES}
    if odd := [each for each in _NAME.findall(text) if each not in have]:
        yield because("names", words=odd[:3])
    for found in _QUOTED.finditer(text):
        quoted = next(filter(None, found.groups()))
        plainly = all(_known(stem(word), own) for word in words(quoted))
        if quoted not in known and not plainly:
            yield because("quotes", text=quoted.strip()[:40])
