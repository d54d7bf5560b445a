"""asyncio: periodic work, tasks and threads that end in order, and termination signals."""

import asyncio
import logging
import os
import select
import signal
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

from selfheal.db.errors import DatabaseError

T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

_PATIENCE: Final = 6.0  # seconds; longer than any task's own clean-up takes


def on_termination(handle: Callable[[signal.Signals], None]) -> None:
    """Handle SIGTERM, SIGQUIT, and the SIGHUP of a closed terminal, from now on.

    SIGINT is left to `asyncio.run`. SIGHUP stays ignored under nohup.

    Args:
        handle: called with the signal, on the running event loop.
    """
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, handle, number)


def watch_terminal() -> None:
    """Raise SIGHUP in this process when the terminal closes and the kernel signals only `make`.

    The kernel sends SIGHUP to the leader of the terminal's session. A shell passes it on; `make`
    as the leader, for example of `ssh -t host make serve`, waits for this process instead. So a
    process in the leader's own group watches the terminal itself. Linux only: it needs epoll.
    """
    leader = os.getsid(0)
    if leader == os.getpid() or leader != os.getpgrp() or not hasattr(select, "epoll"):
        return
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:  # there is no terminal
        return
    loop, watch = asyncio.get_running_loop(), select.epoll()
    watch.register(terminal, 0)  # hanging up is reported without being requested

    def hung_up() -> None:
        loop.remove_reader(watch.fileno())
        watch.close()
        os.close(terminal)
        signal.raise_signal(signal.SIGHUP)

    loop.add_reader(watch.fileno(), hung_up)


async def periodic(
    work: Callable[[], Awaitable[object]],
    seconds: float,
    *,
    name: str,
    transient: tuple[type[Exception], ...] = (DatabaseError,),
    delay: float = 0.0,
) -> None:
    """Do work again and again until cancelled. An error is logged and does not end it.

    Args:
        work: what is done.
        seconds: the pause after each time.
        name: what it is, for the log.
        transient: errors that are expected and will pass: a warning, without a traceback.
        delay: seconds before the first time.

    Example:
        >>> recovering = asyncio.create_task(periodic(recover, 1.0, name="lease recovery"))
    """
    await asyncio.sleep(delay)
    while True:
        try:
            await work()
        except transient as error:
            logger.warning("%s failed: %s", name, str(error).partition("\n")[0])
        except Exception:
            logger.exception("%s failed", name)
        if (task := asyncio.current_task()) and task.cancelling():
            raise asyncio.CancelledError  # an error in the work's clean-up has hidden it
        await asyncio.sleep(seconds)


async def stop(*tasks: asyncio.Task[Any], patience: float = _PATIENCE) -> None:
    """Cancel tasks, repeatedly if need be, until all have ended.

    Once may not be enough: on Python 3.11 `asyncio.wait_for` swallows a cancellation that arrives
    together with its result, and an error that is raised during a cancellation hides it. A task
    that continued would keep its process from ending.

    Args:
        *tasks: the tasks to stop.
        patience: seconds between two cancellations.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=patience)
        for task in running:
            at = [f"{each.f_code.co_qualname}:{each.f_lineno}" for each in task.get_stack()]
            logger.warning(
                "task did not stop after cancellation; cancelling again: %s", " ".join(at)
            )
    await asyncio.gather(*tasks, return_exceptions=True)


async def gather_all(*work: Any) -> list[Any]:
    """Gather, but raise an exception only when all have ended: none may write afterwards."""
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

    return await gather_all(*(one(item) for item in items))


async def acquire_in_thread(acquire: Callable[[], T], release: Callable[[T], None]) -> T:
    """Return what `acquire` returns, called in a thread.

    A thread cannot be cancelled: if this is, it waits for the result and releases it.
    """
    acquiring = asyncio.ensure_future(asyncio.to_thread(acquire))
    try:
        return await asyncio.shield(acquiring)
    except asyncio.CancelledError:
        release(await acquiring)
        raise
