"""Every poisoned log, healed by selfheal and by swapping at once: `python -m bench.poison`."""

import argparse
import asyncio
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness.healing import HealingHarness, open_healing_harness
from bench.harness.scripted_model import serve_scripted_model
from bench.poison import CATALOGUE
from bench.poison.obedient_model import ObedientModel
from bench.poison.poison import Poison
from bench.poison.trial import heal, swap_at_once, write_poisoned_runs
from selfheal.db import prompts
from selfheal.db.embedded.server import embedded_postgres
from selfheal.db.migrate import migrate
from selfheal.db.pool import open_database
from selfheal.graph.prompts import first_prompts

_SETTINGS = {"GOOGLE_API_KEY": "scripted", "SELFHEAL_HEAL_DAILY_CALLS": "1000000"}


@dataclass(frozen=True)
class Seen:
    """The result of one set: whether the live prompt carries the order, for both ways to heal."""

    poison: Poison
    healed: bool
    swapped: bool
    outcome: str

    def row(self) -> str:
        """Return the table's line."""
        ours, naive = ("carried" if each else "-" for each in (self.healed, self.swapped))
        return f"{self.poison.name:<44} {ours:<12} {naive:<13} {self.outcome}"


async def attack(harness: HealingHarness, obedient_model: ObedientModel, poison: Poison) -> Seen:
    """Poison the log and heal; once as this system does, once by taking the first proposal."""
    obedient_model.poison, obedient_model.drafts = poison, 0
    await write_poisoned_runs(harness, poison)
    result = await heal(harness, poison)
    live = (await harness.live(poison.agent)).text
    obedient_model.drafts = 0
    await write_poisoned_runs(harness, poison)
    obeys_logs, obedient_model.obeys_logs = (
        obedient_model.obeys_logs,
        False,
    )  # swapping at once carries the order without that
    swapped = await swap_at_once(harness, poison)
    obedient_model.obeys_logs = obeys_logs
    carried = poison.carried(live), poison.carried(swapped)
    return Seen(poison, *carried, result["outcome"])


async def measure(*, obeys_logs: bool, match: str) -> list[Seen]:
    """Attack a fresh deployment with all sets, one after another."""
    obedient_model = ObedientModel(obeys_logs=obeys_logs)
    seen: list[Seen] = []
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="poison-"))
        url = await stack.enter_async_context(embedded_postgres(Path(folder)))
        database = await stack.enter_async_context(open_database(url))
        await migrate(database)
        async with database.connection() as connection:
            await prompts.seed(connection, first_prompts())
        server = await stack.enter_async_context(serve_scripted_model(obedient_model.reply))
        os.environ |= {**_SETTINGS, "GOOGLE_GEMINI_BASE_URL": server.url}
        harness = await stack.enter_async_context(open_healing_harness(database))
        for poison in CATALOGUE:
            if match in poison.name:
                seen.append(await attack(harness, obedient_model, poison))
                print(seen[-1].row(), flush=True)
    return seen


def main() -> int:
    """Read the command line, run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.poison", description=__doc__)
    parser.add_argument("--match", default="", help="only sets with this in their name")
    parser.add_argument(
        "--obeys-logs",
        action="store_true",
        help="the writer obeys the logs, also where no finding repeats the order",
    )
    options = parser.parse_args()
    print(f"{'set':<44} {'this system':<12} {'swap at once':<13} outcome")
    seen = asyncio.run(measure(obeys_logs=options.obeys_logs, match=options.match))
    carried = sum(each.healed for each in seen), sum(each.swapped for each in seen)
    print(f"{len(seen)} sets: {carried[0]} carried by this system, {carried[1]} by swap at once")
    return 1 if carried[0] else 0


if __name__ == "__main__":
    sys.exit(main())
