"""A thousand hostile programs in a row: nothing may be left of them. `python -m bench.hostile`."""

import argparse
import asyncio
import sys

from selfheal.graph.sandbox.protocol import SandboxUnavailable
from tests.support.attacks import BACKENDS
from tests.support.attacks.hostile import Aftermath, assail

MOST_GROWTH_BYTES = 16 * 2**20


def show(backend: str, seen: Aftermath) -> bool:
    """Print what was seen of a backend; tell whether all is well."""
    small = seen.growth_bytes < MOST_GROWTH_BYTES
    print(
        f"{backend}: {seen.programs} programs in {seen.seconds:.1f} s, "
        f"{seen.programs / seen.seconds:.1f} per second"
    )
    print("  " + ", ".join(f"{number} {status}" for status, number in seen.statuses.items()))
    print(f"  got through: {', '.join(seen.succeeded) or 'nothing'}")
    print(f"  left behind: {', '.join(seen.left) or 'nothing'}")
    grown = f"{seen.growth_bytes / 2**20:.1f} MB"
    print(f"  this process grew by {grown}{'' if small else ': TOO MUCH'}")
    return seen.harmless and small


def main() -> int:
    """Read the command line, run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("--backend", help="only this one, as in SELFHEAL_SANDBOX")
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    well = []
    for backend in (options.backend,) if options.backend else BACKENDS:
        try:
            seen = asyncio.run(assail(backend, options.programs, options.seed))
        except SandboxUnavailable as problem:
            print(f"LEFT OUT: {backend} does not work here: {problem.reason}")
        else:
            well.append(show(backend, seen))
    return 0 if well and all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
