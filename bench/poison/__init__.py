"""A catalogue of poisoned logs: what an attacker writes there so that a healing does his will."""

from bench.poison import backdoors, hidden, leaks, log_fields, weakening
from bench.poison.poison import Poison

CATALOGUE: tuple[Poison, ...] = (
    *log_fields.SETS,
    *backdoors.SETS,
    *leaks.SETS,
    *weakening.SETS,
    *hidden.SETS,
)
