"""A catalogue of attacks on a sandbox: each with its control, for every backend the same."""

from bench.attacks import (
    disk_filling,
    file_reads,
    file_writes,
    kernel,
    kernel_objects,
    memory,
    monkeypatching,
    network,
    nontermination,
    output_flooding,
    process_tampering,
    processes,
    program_exit,
    result_forging,
    return_values,
    sources,
)
from bench.attacks.attack import Attack
from selfheal.graph.sandbox.selection import CHOICES

BACKENDS = tuple(name for name in CHOICES if name not in {"auto", "static"})
CATALOGUE: tuple[Attack, ...] = (
    *file_reads.ATTACKS,
    *file_writes.ATTACKS,
    *disk_filling.ATTACKS,
    *network.ATTACKS,
    *processes.ATTACKS,
    *process_tampering.ATTACKS,
    *kernel.ATTACKS,
    *memory.ATTACKS,
    *kernel_objects.ATTACKS,
    *nontermination.ATTACKS,
    *output_flooding.ATTACKS,
    *sources.ATTACKS,
    *return_values.ATTACKS,
    *result_forging.ATTACKS,
    *program_exit.ATTACKS,
    *monkeypatching.ATTACKS,
)
