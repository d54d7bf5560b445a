"""Where the words of a finding or a candidate come from: a first, cheap filter.

A word that occurs in many unrelated failures is what the failures are about. A sentence that mostly
consists of words which only a few runs have, and no trusted text, was probably dictated by them. In
doubt a sentence passes: what it does is tested (optimizer/policy/added_clauses.py).
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cache
from typing import Final

from selfheal.graph.prompts import first_prompts
from selfheal.optimizer.dataset.cases import golden_requests, golden_rows
from selfheal.optimizer.dataset.split import clusters
from selfheal.optimizer.instructions import load
from selfheal.optimizer.records.cases import Case
from selfheal.optimizer.text.similarity import stem, stems, words

FEWEST_CLUSTERS: Final = 4  # with fewer, nothing can be said
_FEWEST_FOREIGN: Final = 3  # words of a sentence
_FOREIGN_SHARE: Final = 0.5  # of a sentence's longer words
_SHORTEST: Final = 4  # letters of a word that counts


@dataclass(frozen=True, slots=True)
class UntrustedRun:
    """The untrusted text of one run that the diagnosis was given.

    Attributes:
        request: relates the run to others.
        texts: all text that its requester or a model wrote. Details of checks are not part of it:
            the words that they add are those of the checks and of Python.
        tenant: a number for each tenant.
    """

    request: str
    texts: Sequence[str]
    tenant: int = 0


def rare_stems(runs: Sequence[UntrustedRun]) -> frozenset[str]:
    """Return the stems that only one cluster of related runs has, or one tenant of several.

    Args:
        runs: what the diagnosis was given. With fewer than four clusters nothing is rare.
    """
    cases = [
        Case(id=str(at), source="production", request=run.request, examples=[])
        for at, run in enumerate(runs)
    ]
    groups = clusters(cases)
    if len(groups) < FEWEST_CLUSTERS:
        return frozenset()
    cluster = {case["id"]: number for number, group in enumerate(groups) for case in group}
    tenants = {run.tenant for run in runs}
    seen: dict[str, set[int]] = {}
    by_tenant: dict[str, set[int]] = {}
    for at, run in enumerate(runs):
        for each in {found for text in run.texts for found in stems(text)}:
            seen.setdefault(each, set()).add(cluster[str(at)])
            by_tenant.setdefault(each, set()).add(run.tenant)
    several = len(tenants) > 1
    return frozenset(
        each for each in seen if len(seen[each]) == 1 or (several and len(by_tenant[each]) == 1)
    )


def foreign_words(sentence: str, rare: Set[str], trusted: Set[str]) -> list[str]:
    """Return the words that a sentence was probably dictated by; empty if it is not suspicious.

    Args:
        sentence: of a finding or a candidate.
        rare: as `rare_stems` returns them.
        trusted: the stems of trusted texts.
    """
    long = [each for each in dict.fromkeys(words(sentence)) if len(each) >= _SHORTEST]
    known = trusted | _own_stems()
    foreign = [each for each in long if stem(each) in rare and stem(each) not in known]
    enough = len(foreign) >= max(_FEWEST_FOREIGN, _FOREIGN_SHARE * len(long))
    return foreign if enough else []


@cache
def _own_stems() -> frozenset[str]:
    """Return the stems of texts that ship with this service."""
    texts = [*first_prompts().values(), load("diagnose"), load("write")]
    texts += [case["request"] for case in golden_requests()]
    for row in golden_rows("verdicts.jsonl"):
        texts += [row["request"], *row["plan"]["requirements"]]
    return frozenset(each for text in texts for each in stems(text))
