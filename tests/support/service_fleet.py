"""Several processes of the service on one database, killed and frozen at random."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from bench.harness.processes import Process, selfheal, started

SAYS = r"serving on (http://\S+)"


@dataclass
class Member:
    """One process of the fleet."""

    process: Process
    url: str

    def signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)


@dataclass
class Fleet:
    """Processes that serve and execute runs, all on one database."""

    env: Mapping[str, str]
    stack: AsyncExitStack
    members: list[Member] = field(default_factory=list)

    async def add(self) -> Member:
        """Start one more."""
        serving = started(*selfheal("serve", "--port", "0"), env=self.env, says=SAYS)
        process, url = await self.stack.enter_async_context(serving)
        member = Member(process, url)
        self.members.append(member)
        return member

    async def kill(self, member: Member) -> None:
        """Kill one as the kernel does when memory is short."""
        self.members.remove(member)
        member.signal(signal.SIGKILL)
        await member.process.wait()

    async def freeze(self, member: Member, seconds: float) -> None:
        """Stop one in the middle of whatever it does, and let it go on later."""
        member.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        member.signal(signal.SIGCONT)

    async def trouble(self, chance: random.Random, *, lease: float) -> None:
        """Kill and replace, or freeze beyond their leases, one after another, until cancelled."""
        while True:
            member = chance.choice(self.members)
            if chance.random() < 0.5:
                await self.freeze(member, 1.5 * lease)
            else:
                await self.kill(member)
                await self.add()
            await asyncio.sleep(chance.uniform(0.2, 1.0))


@asynccontextmanager
async def fleet(env: Mapping[str, str], size: int) -> AsyncIterator[Fleet]:
    """Start a fleet of so many."""
    async with AsyncExitStack() as stack:
        opened = Fleet(env, stack)
        await asyncio.gather(*(opened.add() for _ in range(size)))
        yield opened
