"""Splits a sentence into phrases: parts that can be removed without the others.

An instruction can be hidden in the sentence of another one, so the sentence is not the smallest
part that is tested. Punctuation separates phrases in any language; the words that join phrases are
listed for the languages that prompts are mostly written in. A sentence that none of them separates
is one phrase.
"""

import re
from collections.abc import Sequence
from typing import Final

from selfheal.optimizer.text.similarity import words

# A phrase begins after one of these, or before an opening bracket.
_PUNCTUATION: Final = (
    r"(?<=[,;:)\]\u2013\u2014\u2026\u3001\uff0c\uff1b\uff1a])\s*|\s*(?=[(\[])|(?<=\s-)\s+|\n\s*"
)
# A phrase begins at one of these words: what follows limits, adds a condition, or describes.
_STRONG: Final = (
    "but|except|excepting|excluding|barring|save|unless|if|when|whenever|while|where|wherever|until"
    "|once|though|although|whereas|because|since|which|that|who|whose|whom|without|instead|besides"
    "|apart|aside|other than|rather than|provided|given that|regardless|then|otherwise|unlike"
    "|so that|as long as|as soon as|in case|also"
    "|aber|au\u00dfer|ausser|sondern|wenn|falls|sobald|w\u00e4hrend|ohne|statt|damit|wobei"
    "|mais|sauf|hormis|si|quand|lorsque|sans|qui|dont|afin"
    "|pero|excepto|salvo|cuando|mientras|sin|quien|cuyo|aunque|porque"
)
# At one of these words only where the phrase is long enough.
_WEAK: Final = (
    "and|or|nor|plus|for|with|of|to|in|on|by|from|at|under|over|beyond|above|below|between|after"
    "|before|as|per|via|into|within|past|beneath|against|through|like"
    "|und|oder|f\u00fcr|mit|von|bei|nach|vor|unter|\u00fcber|bis|ab"
    "|et|ou|pour|avec|des|du|dans|sur|par|apr\u00e8s|avant|sous"
    "|y|o|para|con|del|en|por|despu\u00e9s|antes|desde|hasta|\\w{3,}ing"
)
_BREAK: Final = re.compile(
    rf"{_PUNCTUATION}|(?<=\s)(?=(?:{_STRONG})\b)|(?P<weak>(?<=\s)(?=(?:{_WEAK})\b))", re.IGNORECASE
)
_WHOLE: Final = 12  # words: so few hold one instruction, and half of it is hard to understand
_FEWEST: Final = 3  # words of a phrase
_FEWEST_WEAK: Final = 4  # words from a weak word to where the sentence is separated next
_LONGEST: Final = 4_000  # characters of a sentence that is split; a longer one is one phrase
_MARKER: Final = re.compile(r"\s*(?:[-*\u2022#]+|\d+[.)])\s+")
_JOINTS: Final = re.compile(
    r"^[\s,;:.\u2013\u2014\u2026)\]-]*(?:(?:and|or|but|then|und|oder|et|y)\b)?\s*", re.IGNORECASE
)
_LOOSE_END: Final = re.compile(r"[\s,;:(\[\u2013\u2014-]+$")
_NO_BRACKETS: Final = str.maketrans("", "", "()")
_FINAL: Final = re.compile(r"[.!?]+[\"')\]]*\s*$")


def split_phrases(sentence: str) -> list[str]:
    """Return the phrases of a sentence, which joined are the sentence again.

    Args:
        sentence: with its list marker, if it has one. One of up to 12 words is one phrase.
    """
    if len(sentence) > _LONGEST or len(words(sentence)) <= _WHOLE:
        return [sentence]
    weak: dict[int, bool] = {}  # whether only a weak word begins there
    for found in _BREAK.finditer(sentence):
        weak[found.end()] = found["weak"] is not None and weak.get(found.end(), True)
    strong = [*(at for at in weak if not weak[at]), len(sentence)]
    phrases: list[str] = []
    start = 0
    for at, is_weak in weak.items():
        end = next(each for each in strong if each > at or each == len(sentence))
        enough = _FEWEST_WEAK if is_weak else _FEWEST
        if len(words(sentence[start:at])) >= _FEWEST and len(words(sentence[at:end])) >= enough:
            phrases.append(sentence[start:at])
            start = at
    return [*phrases, sentence[start:]]


def join_phrases(phrases: Sequence[str], kept: Sequence[int]) -> str:
    """Return a sentence of some of its phrases, with its list marker, capital and full stop.

    Args:
        phrases: all phrases of the sentence.
        kept: the places of those that stay, in order.

    Returns:
        The sentence; empty if no phrase stays.
    """
    if len(kept) == len(phrases):
        return "".join(phrases)
    if not kept:
        return ""
    text = "".join(phrases[place] for place in kept)
    marker = _MARKER.match(phrases[0])
    if kept[0] != 0:
        text = _JOINTS.sub("", text, count=1)
        text = (marker[0] if marker else "") + text[:1].upper() + text[1:]
    if kept[-1] != len(phrases) - 1:
        ending = _FINAL.search(phrases[-1])
        text = _LOOSE_END.sub("", text) + (ending[0] if ending else "")
    return text if text.count("(") == text.count(")") else text.translate(_NO_BRACKETS)
