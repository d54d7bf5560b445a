"""What a rewrite drops of the sentences that a person wrote and kept: restored, or shown.

Protected are those sentences of the live prompt that an earlier text contains as well: the last one
that a person wrote, or a version that was live before and that no screening has eliminated. They
were kept when the prompt was changed, whatever they say and in whatever language. A sentence that
only the live prompt has may be what is wrong with it, and is not protected.

The best candidate that lacks some is tried once more with all of them at its end. It is replaced by
that, unless that is eliminated; then its release waits for approval, and names what it drops.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from selfheal.db.reasons import Reason, because
from selfheal.optimizer.policy import screening
from selfheal.optimizer.policy.screening import Rule
from selfheal.optimizer.state import (
    GENERATED,
    PREVIOUSLY_LIVE,
    Proposal,
    Restoring,
    ScreenReport,
)
from selfheal.optimizer.text.sentences import split_sentences
from selfheal.optimizer.text.similarity import stems

_SAME: Final = 0.8  # the share of a sentence's stems that another must contain to replace it
_MOST_SENTENCES: Final = 200


def protected_sentences(
    incumbent: str, anchor: str, proposals: Sequence[Proposal], screens: Sequence[ScreenReport]
) -> list[str]:
    """Return the sentences of the incumbent that no candidate may drop unseen.

    Args:
        incumbent: the live prompt.
        anchor: the last prompt up to it that a person wrote.
        proposals: the candidates, those that were live before among them.
        screens: the screenings so far, the present one included.
    """
    out = {each["ordinal"] for screen in screens for each in screen["results"] if each["out"]}
    earlier = [
        each["text"]
        for each in proposals
        if each["origin"] in PREVIOUSLY_LIVE and each["ordinal"] not in out
    ]
    texts = [text for text in (anchor, *earlier) if text and text != incumbent]
    known = [stemmed for text in texts for _, stemmed in _sentences(text)]
    return [text for text, stemmed in _sentences(incumbent) if _contained(stemmed, known)]


def dropped(text: str, sentences: Sequence[str]) -> list[str]:
    """Return those of the sentences that a text lacks.

    A sentence is kept if some sentence of the text contains most of its words.
    """
    present = [stemmed for _, stemmed in _sentences(text)]
    return [each for each in sentences if not _contained(stems(each), present)]


def restored_text(text: str, sentences: Sequence[str]) -> str:
    """Return a text with sentences appended."""
    return "\n\n".join([text, "\n".join(sentences)])


def restoration(best: Proposal, sentences: Sequence[str], ordinal: int) -> Proposal | None:
    """Return the best candidate with what it drops; None if it drops nothing, or was not written.

    Args:
        best: the candidate that came out of a screening.
        sentences: as `protected_sentences` returns them.
        ordinal: of the new candidate.
    """
    missing = dropped(best["text"], sentences) if best["origin"] in GENERATED else []
    if not missing:
        return None
    return Proposal(
        ordinal=ordinal,
        round=best["round"],
        origin="restored",
        version=None,
        text=restored_text(best["text"], missing),
        rationale=f"Candidate {best['ordinal']} with what it drops: {' '.join(missing)}"[:1000],
        fate="",
        reason=None,
    )


def restoring(
    rule: Rule,
    best: Proposal,
    candidate: Proposal,
    sentences: Sequence[str],
    results: screening.Results,
) -> Restoring:
    """Return what became of the candidate with the dropped sentences, for the receipt.

    Args:
        rule: of the screening.
        best: the candidate without them.
        candidate: the candidate with them.
        sentences: as `protected_sentences` returns them.
        results: the trials of the candidate with them.
    """
    (result,) = screening.report(rule, results, ())["results"]
    return Restoring(
        of=best["ordinal"],
        ordinal=candidate["ordinal"],
        sentences=dropped(best["text"], sentences),
        result=result,
        restored=bool(result["of"]) and not result["out"],
    )


def with_restoring(proposals: Sequence[Proposal], found: Restoring) -> list[Proposal]:
    """Return the candidates with the fate of the one that was replaced, or did not replace it."""
    loser = found["of"] if found["restored"] else found["ordinal"]
    reason = fate_reason(found, loser)
    return [
        {**each, "fate": "screen", "reason": reason} if each["ordinal"] == loser else each
        for each in proposals
    ]


def fate_reason(found: Restoring, ordinal: int) -> Reason | None:
    """Return why a candidate went no further than the trial of restoring; None if it did."""
    if ordinal == found["of"] and found["restored"]:
        count = len(found["sentences"])
        return because("sentences_restored", sentences=count, candidate=found["ordinal"])
    if ordinal == found["ordinal"] and not found["restored"]:
        return screening.lost(found["result"], None)
    return None


def unrestored(screens: Sequence[ScreenReport], ordinal: int) -> list[str]:
    """Return the protected sentences that a candidate drops, since it fails with them."""
    for screen in reversed(screens):
        found = screen.get("restoring")
        if found and found["of"] == ordinal and not found["restored"]:
            return found["sentences"]
    return []


def went_on(screen: ScreenReport) -> int | None:
    """Return the candidate that came out of a screening, with what was restored; None if none."""
    found = screen.get("restoring")
    return found["ordinal"] if found and found["restored"] else screen["survivor"]


def _sentences(text: str) -> Iterator[tuple[str, set[str]]]:
    for sentence in split_sentences(text, _MOST_SENTENCES):
        if stemmed := stems(sentence.text):
            yield sentence.text.strip(), stemmed


def _contained(sentence: set[str], others: Sequence[set[str]]) -> bool:
    return any(len(sentence & other) >= _SAME * len(sentence) for other in others)
