"""Seeded noise: the same call in the same world draws the same, whatever runs beside it."""

from collections.abc import Sequence
from hashlib import blake2b
from statistics import NormalDist
from typing import TypeVar

T = TypeVar("T")


class Noise:
    """Draws that depend only on the parts it was made of and on what each draw is for."""

    def __init__(self, *parts: object) -> None:
        self._key = "\x1f".join(map(str, parts))

    def draw(self, *purpose: object) -> float:
        """Return a number in [0, 1), fixed for this purpose."""
        text = "\x1f".join((self._key, *map(str, purpose)))
        return (
            int.from_bytes(
                blake2b(text.encode(errors="surrogatepass"), digest_size=6).digest(), "big"
            )
            / 2**48
        )

    def chance(self, probability: float, *purpose: object) -> bool:
        """Tell whether something of that probability happens."""
        return self.draw(*purpose) < probability

    def pick(self, items: Sequence[T], *purpose: object) -> T:
        """Return one of the items."""
        return items[int(self.draw(*purpose) * len(items))]

    def shuffled(self, items: Sequence[T], *purpose: object) -> list[T]:
        """Return the items in an order fixed for this purpose."""
        order = sorted(range(len(items)), key=lambda index: self.draw(*purpose, index))
        return [items[index] for index in order]

    def gauss(self, sigma: float, *purpose: object) -> float:
        """Return a normal deviate of mean 0."""
        return sigma * NormalDist().inv_cdf(min(max(self.draw(*purpose), 1e-6), 1 - 1e-6))
