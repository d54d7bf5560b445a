"""An index that finds the most similar text by cosine similarity of tf-idf vectors."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping

_LEAST_SIMILARITY = 0.18  # cosine, from 0 to 1
_MARGIN = 1.1  # the least ratio to the similarity of the second text
_SHARED = 4  # the least number of shared words
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


class TextIndex:
    """An inverted index of named texts."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        counts = {name: _bag(text) for name, text in texts.items()}
        spread = Counter(word for bag in counts.values() for word in bag)
        self._rarity = {word: math.log(1 + len(counts) / count) for word, count in spread.items()}
        self._unseen = math.log(1 + len(counts))
        self._places: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for name, bag in counts.items():
            for word, weight in self._vector(bag).items():
                self._places[word].append((name, weight))

    def find(self, text: str) -> str | None:
        """Return the name of the most similar text; None if none is similar enough."""
        scores: dict[str, float] = defaultdict(float)
        shared: Counter[str] = Counter()
        for word, weight in self._vector(_bag(text)).items():
            for name, other in self._places.get(word, ()):
                scores[name] += weight * other
                shared[name] += 1
        ranked = sorted((scores[name], name) for name in scores if shared[name] >= _SHARED)
        second, best = [(0.0, ""), (0.0, ""), *ranked][-2:]
        return best[1] if best[0] >= max(_LEAST_SIMILARITY, second[0] * _MARGIN) else None

    def _vector(self, bag: Counter[str]) -> dict[str, float]:
        raw = {
            word: (1 + math.log(count)) * self._rarity.get(word, self._unseen)
            for word, count in bag.items()
        }
        length = math.sqrt(sum(weight**2 for weight in raw.values())) or 1.0
        return {word: weight / length for word, weight in raw.items()}


def _bag(text: str) -> Counter[str]:
    """Count a text's stems without stop words, so that `sorted` equals `sorting`."""
    words = (word for word in _WORD.findall(text.lower()) if word not in _STOP)
    return Counter(_ENDING.sub("", word) or word for word in words)
