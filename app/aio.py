"""asyncio: tasks and threads that end in order, and the signals that end a process."""

import asyncio
import logging
import os
import select
import signal
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

_PATIENCE: Final = 6.0  # seconds; longer than whatever our tasks have to do at their end


def on_ending_signals(handle: Callable[[signal.Signals], None]) -> None:
    """Handle SIGTERM, SIGQUIT, and the SIGHUP of a closed terminal, from now on.

    SIGINT is left to `asyncio.run`. Under nohup a closed terminal ends nothing.

    Args:
        handle: called with the signal, on the event loop that runs now.
    """
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, handle, number)


def watch_terminal() -> None:
    """Send ourselves SIGHUP when the terminal closes and the kernel sends it to `make` alone.

    A closed terminal is signalled to the leader of its session. A shell passes that on; `make` as
    the leader, of `ssh -t host make serve` for one, waits for us instead. So a process in the
    leader's own group looks at the terminal itself. Linux only: it takes epoll.
    """
    leader = os.getsid(0)
    if leader == os.getpid() or leader != os.getpgrp() or not hasattr(select, "epoll"):
        return
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:  # there is no terminal
        return
    loop, watch = asyncio.get_running_loop(), select.epoll()
    watch.register(terminal, 0)  # no event but that it hangs up

    def hung_up() -> None:
        loop.remove_reader(watch.fileno())
        watch.close()
        os.close(terminal)
        signal.raise_signal(signal.SIGHUP)

    loop.add_reader(watch.fileno(), hung_up)


async def stop(*tasks: asyncio.Task[Any], patience: float = _PATIENCE) -> None:
    """Cancel tasks, again after a while if need be, until all have ended.

    Once may not be enough: on Python 3.11 `asyncio.wait_for` swallows a cancellation that comes
    together with what it waits for, and everywhere an error hides one that it is raised over. What
    goes on then would keep its process from ending.

    Args:
        patience: seconds that they are given to end before they are told again.
    """
    going = set(tasks)
    while going:
        for task in going:
            task.cancel()
        _, going = await asyncio.wait(going, timeout=patience)
        for task in going:
            at = [f"{each.f_code.co_qualname}:{each.f_lineno}" for each in task.get_stack()]
            logger.warning("told to stop, it goes on, and is told again: %s", " ".join(at))
    await asyncio.gather(*tasks, return_exceptions=True)


async def all_of(*work: Any) -> list[Any]:
    """Gather, but let every one end before an exception goes on: none may write afterwards."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def gather_bounded(
    limit: int, work: Callable[[Item], Awaitable[Result]], items: Iterable[Item]
) -> list[Result]:
    """Do work for each item, at most `limit` at a time, and wait for all of it.

    Args:
        limit: at least 1.
        work: called once for each item.
        items: in the order of the results.

    Returns:
        The results in the order of the items.

    Raises:
        BaseException: the first that `work` raised, in the order of the items, after all have
            ended: none of them writes afterwards.
    """
    places = asyncio.Semaphore(limit)

    async def one(item: Item) -> Result:
        async with places:
            return await work(item)

    return await all_of(*(one(item) for item in items))


async def made(make: Callable[[], Made], unmake: Callable[[Made], None]) -> Made:
    """Return what `make` returns. Cancelled meanwhile, wait for it and undo it: threads go on."""
    making = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        unmake(await making)
        raise
