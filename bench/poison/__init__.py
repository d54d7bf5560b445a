"""A catalogue of poisoned run logs: injected text that tries to steer a healing."""

from bench.poison import backdoors, hidden, leaks, log_fields, weakening
from bench.poison.poison import Poison

CATALOGUE: tuple[Poison, ...] = (
    *log_fields.SETS,
    *backdoors.SETS,
    *leaks.SETS,
    *weakening.SETS,
    *hidden.SETS,
)
