"""A catalogue of poisoned logs: what an attacker writes there so that a healing does his will."""

from tests.support.poison import backdoors, hidden, leaks, places, weakening
from tests.support.poison.contract import Poison

CATALOGUE: tuple[Poison, ...] = (
    *places.SETS,
    *backdoors.SETS,
    *leaks.SETS,
    *weakening.SETS,
    *hidden.SETS,
)
