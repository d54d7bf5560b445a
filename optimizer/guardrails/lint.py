"""The lint of candidates and findings: pure functions. A violation rejects; nothing is repaired.

The models that diagnose and write may have followed an instruction in the untrusted text of runs.
So the lint checks what they wrote, not what they were given. It judges form and origin, never
meaning: what an instruction does is tested (optimizer/policy/added_clauses.py).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from selfheal.db.reasons import Reason, because
from selfheal.db.types import Agent
from selfheal.optimizer.guardrails.obfuscation import decoded_texts, obfuscations
from selfheal.optimizer.guardrails.origin import UntrustedRun, foreign_words, rare_stems
from selfheal.optimizer.text.sentences import split_sentences
from selfheal.optimizer.text.similarity import normalize, stems, word_ngrams, words

LONGEST: Final = 40_000  # characters, the limit of any stored prompt
_WORDS_ALWAYS_ALLOWED = 400
_GROWTH = 1.2
_COPIED_RUN = 8
_MOST_SENTENCES = 400
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
        runs: the same by run, without the details of checks.
        anchor: the newest prompt up to the incumbent that the optimizer did not write. Compared
            with the incumbent alone, limits on growth could be exceeded by several healings.
    """

    agent: Agent
    incumbent: str
    logs: Sequence[str] = ()
    runs: Sequence[UntrustedRun] = ()
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
    def rare(self) -> frozenset[str]:
        """The stems that only a few related runs have."""
        return rare_stems(self.runs)

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
    ]


def finding_violations(finding: str, reference: LintReference) -> list[Reason]:
    """Return the violations of a finding; empty if it may be passed on to the writer.

    Args:
        finding: a root cause or a suggestion of the diagnostician.
        reference: the texts to compare it with.
    """
    return [*_untrusted_content(finding, reference), *obfuscations(finding, reference.known)]


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
    added = _new_sentences(text, reference.known)
    if any(_ADDRESS.search(normalize(sentence)) for sentence in added):
        yield because("contains_address")
    if _SECRET.search(text):
        yield because("contains_secret")
    copied = word_ngrams(text, _COPIED_RUN) - word_ngrams(reference.known, _COPIED_RUN)
    if copied and any(copied & word_ngrams(reading, _COPIED_RUN) for reading in reference.readings):
        yield because("copies_untrusted_text", words=_COPIED_RUN)
    foreign = (foreign_words(sentence, reference.rare, reference.own) for sentence in added)
    if odd := next(filter(None, foreign), None):
        yield because("untrusted_words", words=odd[:3])


def _new_sentences(text: str, known: str) -> list[str]:
    """Return the sentences of a text that the known text does not contain."""
    old = {tuple(words(each)) for each in _sentences(known)}
    return [each for each in _sentences(text) if tuple(words(each)) not in old]


def _sentences(text: str) -> list[str]:
    found = split_sentences(text, _MOST_SENTENCES, whole_lists=False) if text.strip() else []
    return [each.text for each in found]
