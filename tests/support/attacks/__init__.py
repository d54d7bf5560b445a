"""A catalogue of attacks on a sandbox: each with its control, for every backend the same."""

from selfheal.graph.sandbox.selection import CHOICES
from tests.support.attacks import (
    endless,
    filling,
    flooding,
    forging,
    kernel,
    leaving,
    memory,
    network,
    objects,
    patching,
    processes,
    reading,
    sources,
    tampering,
    values,
    writing,
)
from tests.support.attacks.contract import Attack

BACKENDS = tuple(name for name in CHOICES if name not in {"auto", "static"})
CATALOGUE: tuple[Attack, ...] = (
    *reading.ATTACKS,
    *writing.ATTACKS,
    *filling.ATTACKS,
    *network.ATTACKS,
    *processes.ATTACKS,
    *tampering.ATTACKS,
    *kernel.ATTACKS,
    *memory.ATTACKS,
    *objects.ATTACKS,
    *endless.ATTACKS,
    *flooding.ATTACKS,
    *sources.ATTACKS,
    *values.ATTACKS,
    *forging.ATTACKS,
    *leaving.ATTACKS,
    *patching.ATTACKS,
)
