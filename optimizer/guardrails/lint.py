"""What no prompt may contain: pure functions. A breach rejects a candidate; nothing is repaired.

The models that diagnose and write may have obeyed an order that they read in the log. So this looks
at what came out, not at what they were told.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent
from selfheal.optimizer.guardrails.injected_instructions import (
    named_cases,
    news,
    sentences,
    standing_orders,
)
from selfheal.optimizer.guardrails.obfuscation import disguises, revealed
from selfheal.optimizer.guardrails.required import dropped
from selfheal.optimizer.guardrails.vocabulary import common
from selfheal.optimizer.text.similarity import plain, runs_of, stem, stems, words

LONGEST: Final = 40_000  # characters, as of prompts that people write
_WORDS_ALWAYS_ALLOWED = 400
_GROWTH = 1.2
_COPIED_RUN = 8
_ADDRESS = re.compile(
    r"\b(?:[a-z][a-z0-9+.-]{0,30}://|www\.)\S|\b[\w.+-]{1,64}@[\w-]{1,63}\.\w"
    r"|\bdot (?:com|net|org|io|dev)\b"
    r"|\b[\w-]{1,63}\.(?:com|net|org|io|dev|ai|app|co|xyz|ru|cn|info|biz|sh)\b|\b\d+(?:\.\d+){3}\b"
    r"|(?<!\S)~?(?:\.\.?)?(?:/[\w.-]+){2,}|\b[a-z]:\\",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"AIza[\w-]{20,}|sk-[\w-]{16,}|gh[pousr]_\w{20,}|AKIA[A-Z0-9]{12,}|xox[abpr]-[\w-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|eyJ[\w-]{10,}\.[\w-]{10,}\."
    r"|\b(?:api[_-]?key|password|secret|token)\s*[:=]\s*\S{6,}",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Ground:
    """What a candidate is held against.

    Attributes:
        agent: whose prompt it is to be.
        incumbent: the prompt that it would replace.
        logs: texts of strangers that the diagnosis saw.
        anchor: the last prompt before it that a person wrote. Else each healing could add a little
            to what the one before had added.
    """

    agent: Agent
    incumbent: str
    logs: Sequence[str] = ()
    anchor: str = ""

    @property
    def known(self) -> str:
        """The words that are trusted, because a person wrote them."""
        return self.anchor or self.incumbent

    @cached_property
    def readings(self) -> list[str]:
        """The logs, and what can be read in them by whoever decodes what they hold."""
        return revealed(self.logs)

    @cached_property
    def seen(self) -> frozenset[str]:
        """The stems of all that can be read in the logs."""
        return frozenset(each for text in self.readings for each in stems(text))

    @cached_property
    def own(self) -> frozenset[str]:
        """The stems of the words that are trusted here."""
        return frozenset(stems(self.known))


def breaches(candidate: str, ground: Ground, others: Sequence[str] = ()) -> list[Reason]:
    """Return why a candidate may not be tried; empty if it may.

    Args:
        candidate: the proposed prompt.
        ground: what it is held against.
        others: candidates of this healing that came before.
    """
    if len(candidate) > LONGEST:  # the rest would take long to look at
        return [because("too_many_characters", characters=len(candidate), limit=LONGEST)]
    return [
        *_length(candidate, ground.known),
        *_same(candidate, ground.incumbent, others),
        *_borrowed(candidate, ground),
        *disguises(candidate, ground.known),
        *standing_orders(candidate, ground.known, ground.agent),
        *dropped(candidate, ground.incumbent),
    ]


def tainted(finding: str, ground: Ground) -> list[Reason]:
    """Return why a finding may not reach the writer; empty if it may.

    A finding tells of the prompt, in words of its own. It may say that something is not asked for.
    """
    cases = (named_cases(each, ground.own, ground.seen) for each in sentences(finding))
    return [
        *_borrowed(finding, ground),
        *disguises(finding, ground.known),
        *(each for found in cases for each in found),
    ]


def _length(candidate: str, known: str) -> Iterator[Reason]:
    size, limit = (
        len(words(candidate)),
        max(_WORDS_ALWAYS_ALLOWED, int(_GROWTH * len(words(known)))),
    )
    if size == 0:
        yield because("empty_prompt")
    if size > limit:
        yield because("too_many_words", words=size, limit=limit)


def _same(candidate: str, incumbent: str, others: Sequence[str]) -> Iterator[Reason]:
    if words(candidate) == words(incumbent):
        yield because("same_as_incumbent")
    if any(words(candidate) == words(other) for other in others):
        yield because("same_as_earlier_candidate")


def _borrowed(text: str, ground: Ground) -> Iterator[Reason]:
    """Yield what a text has from strangers, and what no prompt has from anybody."""
    if any(_ADDRESS.search(each) for each in news(plain(text), plain(ground.known))):
        yield because("contains_address")
    if _SECRET.search(text):
        yield because("contains_secret")
    own = runs_of(text, _COPIED_RUN) - runs_of(ground.known, _COPIED_RUN)
    if own and any(own & runs_of(each, _COPIED_RUN) for each in ground.readings):
        yield because("copies_untrusted_text", words=_COPIED_RUN)
    foreign = ground.seen - common() - ground.own
    odd = [word for word in dict.fromkeys(words(text)) if len(word) > 2 and stem(word) in foreign]
    if odd:
        yield because("untrusted_words", words=odd[:3])
