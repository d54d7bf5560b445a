"""Finding the text that is most like another by the words they share, rare ones counting more."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping

# A text is found when it is this like (cosine), this much liker than the next, and shares enough.
_LIKE = 0.18
_MARGIN = 1.1
_SHARED = 4
_WORD = re.compile(r"[a-z]+")
_STOP = frozenset(
    _WORD.findall(
        """a an the of to in on for and or with that this it is are be as by from given into each
        any all write function python implement create make return returns takes take called named
        code please need want me i you which whose should must when if not no its their one define
        def helper small give build returning where there them they than then so us my we how class
        method"""
    )
)
_ENDING = re.compile(r"(?:ings?|ed|es|s|e|ly)$")


class WordIndex:
    """Texts by name, and for each word the texts that have it."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        bags = {name: _bag(text) for name, text in texts.items()}
        spread = Counter(word for bag in bags.values() for word in bag)
        self._rarity = {word: math.log(1 + len(bags) / count) for word, count in spread.items()}
        self._unseen = math.log(1 + len(bags))
        self._places: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for name, bag in bags.items():
            for word, weight in self._vector(bag).items():
                self._places[word].append((name, weight))

    def find(self, text: str) -> str | None:
        """Return the name of the text that is like this one, or None where none is."""
        scores: dict[str, float] = defaultdict(float)
        shared: Counter[str] = Counter()
        for word, weight in self._vector(_bag(text)).items():
            for name, other in self._places.get(word, ()):
                scores[name] += weight * other
                shared[name] += 1
        ranked = sorted((scores[name], name) for name in scores if shared[name] >= _SHARED)
        second, best = [(0.0, ""), (0.0, ""), *ranked][-2:]
        return best[1] if best[0] >= max(_LIKE, second[0] * _MARGIN) else None

    def _vector(self, bag: Counter[str]) -> dict[str, float]:
        raw = {
            word: (1 + math.log(count)) * self._rarity.get(word, self._unseen)
            for word, count in bag.items()
        }
        length = math.sqrt(sum(weight**2 for weight in raw.values())) or 1.0
        return {word: weight / length for word, weight in raw.items()}


def _bag(text: str) -> Counter[str]:
    """Count the text's telling words, endings cut, so that `sorted` meets `sorting`."""
    words = (word for word in _WORD.findall(text.lower()) if word not in _STOP)
    return Counter(_ENDING.sub("", word) or word for word in words)
