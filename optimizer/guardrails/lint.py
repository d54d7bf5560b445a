"""The lint of candidates and findings: pure functions. A violation rejects; nothing is repaired.

The models that diagnose and write may have followed an instruction in the untrusted text of runs.
So the lint checks what they wrote, not what they were given.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent
from selfheal.optimizer.guardrails.injected_instructions import (
    injected_instructions,
    new_sentences,
    sentences,
    unknown_conditions,
)
from selfheal.optimizer.guardrails.obfuscation import decoded_texts, obfuscations
from selfheal.optimizer.guardrails.required import dropped_requirements
from selfheal.optimizer.guardrails.vocabulary import common_vocabulary
from selfheal.optimizer.text.similarity import normalize, stem, stems, word_ngrams, words

LONGEST: Final = 40_000  # characters, the limit of any stored prompt
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
class LintReference:
    """The texts that a candidate or a finding is compared with.

    Attributes:
        agent: whose prompt is healed.
        incumbent: the prompt that the candidate would replace.
        logs: the untrusted texts that the diagnosis was given.
        anchor: the newest prompt up to the incumbent that the optimizer did not write. Compared
            with the incumbent alone, limits on growth could be exceeded by several healings.
    """

    agent: Agent
    incumbent: str
    logs: Sequence[str] = ()
    anchor: str = ""

    @property
    def known(self) -> str:
        """The trusted text."""
        return self.anchor or self.incumbent

    @cached_property
    def readings(self) -> list[str]:
        """The untrusted texts and their decodings."""
        return decoded_texts(self.logs)

    @cached_property
    def seen(self) -> frozenset[str]:
        """The stems of the untrusted texts and their decodings."""
        return frozenset(stem for text in self.readings for stem in stems(text))

    @cached_property
    def own(self) -> frozenset[str]:
        """The stems of the trusted text."""
        return frozenset(stems(self.known))


def violations(
    candidate: str, reference: LintReference, others: Sequence[str] = ()
) -> list[Reason]:
    """Return the violations of a candidate; empty if it may be tried.

    Args:
        candidate: the proposed prompt.
        reference: the texts to compare it with.
        others: the earlier candidates of this healing.
    """
    if len(candidate) > LONGEST:  # the other rules would take too long
        return [because("too_many_characters", characters=len(candidate), limit=LONGEST)]
    return [
        *_length(candidate, reference.known),
        *_same(candidate, reference.incumbent, others),
        *_untrusted_content(candidate, reference),
        *obfuscations(candidate, reference.known),
        *injected_instructions(candidate, reference.known, reference.agent),
        *dropped_requirements(candidate, reference.incumbent),
    ]


def finding_violations(finding: str, reference: LintReference) -> list[Reason]:
    """Return the violations of a finding; empty if it may be passed on to the writer.

    A finding describes the prompt, so rules for the form of instructions do not apply to it.

    Args:
        finding: a root cause or a suggestion of the diagnostician.
        reference: the texts to compare it with.
    """
    conditions = (
        unknown_conditions(sentence, reference.own, reference.seen)
        for sentence in sentences(finding)
    )
    return [
        *_untrusted_content(finding, reference),
        *obfuscations(finding, reference.known),
        *(violation for group in conditions for violation in group),
    ]


def _length(candidate: str, known: str) -> Iterator[Reason]:
    size = len(words(candidate))
    limit = max(_WORDS_ALWAYS_ALLOWED, int(_GROWTH * len(words(known))))
    if size == 0:
        yield because("empty_prompt")
    if size > limit:
        yield because("too_many_words", words=size, limit=limit)


def _same(candidate: str, incumbent: str, others: Sequence[str]) -> Iterator[Reason]:
    if words(candidate) == words(incumbent):
        yield because("same_as_incumbent")
    if any(words(candidate) == words(other) for other in others):
        yield because("same_as_earlier_candidate")


def _untrusted_content(text: str, reference: LintReference) -> Iterator[Reason]:
    """Yield what a text took from untrusted text, and addresses and secrets of any origin."""
    if any(
        _ADDRESS.search(sentence)
        for sentence in new_sentences(normalize(text), normalize(reference.known))
    ):
        yield because("contains_address")
    if _SECRET.search(text):
        yield because("contains_secret")
    added = word_ngrams(text, _COPIED_RUN) - word_ngrams(reference.known, _COPIED_RUN)
    if added and any(added & word_ngrams(reading, _COPIED_RUN) for reading in reference.readings):
        yield because("copies_untrusted_text", words=_COPIED_RUN)
    foreign = reference.seen - common_vocabulary() - reference.own
    odd = [word for word in dict.fromkeys(words(text)) if len(word) > 2 and stem(word) in foreign]
    if odd:
        yield because("untrusted_words", words=odd[:3])
