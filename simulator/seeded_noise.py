"""Seeded noise: the same call under the same seed draws the same numbers, in any order."""

from collections.abc import Sequence
from hashlib import blake2b
from statistics import NormalDist
from typing import TypeVar

T = TypeVar("T")


class Noise:
    """Pseudo-random draws that depend only on the parts of the key and on each draw's purpose."""

    def __init__(self, *parts: object) -> None:
        self._key = "\x1f".join(map(str, parts))

    def draw(self, *purpose: object) -> float:
        """Return a number in [0, 1) that is fixed for the purpose."""
        text = "\x1f".join((self._key, *map(str, purpose)))
        digest = blake2b(text.encode(errors="surrogatepass"), digest_size=6).digest()
        return int.from_bytes(digest, "big") / 2**48

    def chance(self, probability: float, *purpose: object) -> bool:
        """Return True with the given probability."""
        return self.draw(*purpose) < probability

    def pick(self, items: Sequence[T], *purpose: object) -> T:
        """Return one of the items."""
        return items[int(self.draw(*purpose) * len(items))]

    def shuffled(self, items: Sequence[T], *purpose: object) -> list[T]:
        """Return the items in an order that is fixed for the purpose."""
        order = sorted(range(len(items)), key=lambda index: self.draw(*purpose, index))
        return [items[index] for index in order]

    def gauss(self, sigma: float, *purpose: object) -> float:
        """Return a normal deviate of mean 0 and standard deviation `sigma`."""
        return sigma * NormalDist().inv_cdf(min(max(self.draw(*purpose), 1e-6), 1 - 1e-6))
