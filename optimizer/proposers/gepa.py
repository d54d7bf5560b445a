"""GEPA's loop as a proposer, around our own diagnostician and writer. All that knows GEPA is here.

Its loop, its Pareto selection and its acceptance on minibatches are the `gepa` package's. That is
synchronous, so it runs in a thread of its own, and whatever costs anything is done in the event
loop on its behalf.
"""

import asyncio
import concurrent.futures
import importlib
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

from selfheal.app.aio import gather_all
from selfheal.db.encoding import storable
from selfheal.db.types import Agent
from selfheal.graph.settings import SettingsError
from selfheal.optimizer.proposers.base import Brief, Draft, Tried
from selfheal.optimizer.proposers.writer import MANNERS, write
from selfheal.optimizer.state import Case, Evidence

MINIBATCH: Final = 3
# Trials an invocation. A case of the evaluator costs one call, where the others' cost several.
METRIC_CALLS: Final[Mapping[Agent, int]] = {"worker": 40, "manager": 40, "evaluator": 120}
# An accepted candidate runs on all of its cases: with more than these, few would be looked at.
MOST_CASES: Final[Mapping[Agent, int]] = {"worker": 8, "manager": 8, "evaluator": 20}
MEND: Final = "pip install 'selfheal[gepa]'"

_PROMPT: Final = "prompt"  # GEPA evolves named components; ours is one
_SHARE: Final = 2  # what is left is divided between the search, and screen and gate

Value = TypeVar("Value")

logger = logging.getLogger(__name__)


def require() -> Any:
    """Return the gepa package.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        return importlib.import_module("gepa")
    except ImportError as error:
        raise SettingsError(f"SELFHEAL_PROPOSER: gepa is not installed: {MEND}") from error


@dataclass(frozen=True, slots=True)
class Evolved:
    """The best text of a search.

    Attributes:
        text: the text; that of the seed, if no better one was found.
        rationale: what its writer said of it; empty for the seed.
        score: its mean score over the validation cases, from 0 to 1.
        seed_score: that of the seed.
        metric_calls: how many trials were run.
        candidates: how many texts GEPA accepted, the seed included.
    """

    text: str
    rationale: str
    score: float
    seed_score: float
    metric_calls: int
    candidates: int

    @property
    def improved(self) -> bool:
        """Whether it is another text than the seed, and did better."""
        return self.score > self.seed_score


class Gepa:
    """Proposes the one text that GEPA's search ends with, if it did better than the incumbent."""

    async def propose(self, brief: Brief) -> list[Draft]:
        """Search over train cases, within the healing's budget."""
        cases = brief.cases[: MOST_CASES[brief.agent]]
        if not cases:
            return []
        within = min(METRIC_CALLS[brief.agent], await brief.means.affordable() // _SHARE)
        one_step = len(cases) + 2 * min(MINIBATCH, len(cases))  # what cannot pay for it, says so
        found = await evolve(brief, cases, metric_calls=max(within, one_step), seed=brief.round)
        return [Draft(prompt=found.text, rationale=_told(found))] if found.improved else []


def _told(found: Evolved) -> str:
    return (
        f"{found.rationale.strip()[:800]} (GEPA: mean score {found.seed_score:.2f} before,"
        f" {found.score:.2f} now; {found.candidates - 1} accepted, {found.metric_calls} trials)"
    )


async def evolve(
    brief: Brief,
    train: Sequence[Case],
    validation: Sequence[Case] | None = None,
    *,
    metric_calls: int,
    seed: int = 0,
) -> Evolved:
    """Run GEPA's own loop from the brief's incumbent to its end.

    When this returns or raises, however it does, the loop has ended and nothing is spent any more.

    Args:
        brief: whose prompt, and the means; each case must be one that its means will try.
        train: the cases that minibatches are drawn from.
        validation: the cases that candidates are ranked by; without, those of train.
        metric_calls: the trials after which no new step begins. The last step may run over it, by
            two minibatches and the validation cases.
        seed: of the order of the minibatches.

    Raises:
        RunError: the diagnostician or the writer gave no usable answer.
        BudgetSpentError: there is nothing left to pay a trial or an answer from.
        SettingsError: the gepa package is not installed.
    """
    bridge = _Bridge()
    adapter = _Adapter(brief, bridge)
    search = partial(_search, adapter, train, validation, metric_calls, seed)
    running = asyncio.get_running_loop().run_in_executor(None, copy_context().run, search)
    try:
        await asyncio.wait([running])
    finally:
        bridge.stop()
        await _over(running)
    if bridge.fault:
        raise bridge.fault
    return running.result()


async def _over(running: "asyncio.Future[Any]") -> None:
    """Wait for the end of a thread that was told to stop, even if cancelled again."""
    while not running.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([running])
    running.exception()  # else asyncio would log that nobody asked for it


def _search(
    adapter: "_Adapter",
    train: Sequence[Case],
    validation: Sequence[Case] | None,
    metric_calls: int,
    seed: int,
) -> Evolved:
    """Run GEPA, in a thread: without a tracker, files, or a word on the terminal."""
    result = require().optimize(
        seed_candidate={_PROMPT: adapter.brief.incumbent},
        trainset=list(train),
        valset=None if validation is None else list(validation),
        adapter=adapter,
        reflection_minibatch_size=min(MINIBATCH, len(train)),
        max_metric_calls=metric_calls,
        stop_callbacks=[adapter.bridge.is_stopped],
        logger=_Log(),
        seed=seed,
    )
    text = result.best_candidate[_PROMPT]
    return Evolved(
        text=text,
        rationale=adapter.rationales.get(text, ""),
        score=result.val_aggregate_scores[result.best_idx],
        seed_score=result.val_aggregate_scores[0],
        metric_calls=result.total_metric_calls,
        candidates=len(result.candidates),
    )


class _Log:
    """Where GEPA says what it is doing."""

    def log(self, message: str) -> None:
        logger.debug("%s", message)


class _StoppedError(Exception):
    """The search was told to stop."""


class _Bridge:
    """Lets a thread have work done in the event loop, until it is told to stop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._stopped = False
        self.fault: Exception | None = None

    def stop(self) -> None:
        """Refuse all work from now on, and cancel what is under way. For the event loop."""
        self._stopped = True
        if self._task:
            self._task.cancel()

    def is_stopped(self, _state: Any) -> bool:
        """Tell GEPA whether to go on."""
        return self._stopped

    def wait(self, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Have work done, and wait for its result. For the thread."""
        if self._stopped:
            raise _StoppedError
        try:
            return asyncio.run_coroutine_threadsafe(self._do(work), self._loop).result()
        except concurrent.futures.CancelledError as error:
            raise _StoppedError from error

    async def _do(self, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Do the work. A fault ends the search: GEPA by itself would try again, and pay again."""
        if self._stopped:
            raise _StoppedError
        self._task = asyncio.current_task()
        try:
            return await work()
        except BaseException as error:
            self._stopped = True
            self.fault = error if isinstance(error, Exception) else None
            raise
        finally:
            self._task = None


class _Adapter:
    """What GEPA asks of a system: to try a text on cases, and to write a better one."""

    def __init__(self, brief: Brief, bridge: _Bridge) -> None:
        self.brief = brief
        self.bridge = bridge
        self.rationales: dict[str, str] = {}
        self._written = 0

    def evaluate(
        self, batch: list[Case], candidate: dict[str, str], capture_traces: bool = False
    ) -> Any:
        """Return how a batch goes under a candidate, as GEPA's EvaluationBatch."""
        text = candidate[_PROMPT]
        tried = self.bridge.wait(lambda: self._try(text, batch))
        return require().EvaluationBatch(
            outputs=tried,
            scores=[each.score for each in tried],
            trajectories=tried if capture_traces else None,
        )

    async def _try(self, text: str, batch: Sequence[Case]) -> list[Tried]:
        means = self.brief.means
        places = asyncio.Semaphore(means.width)

        async def one(case: Case) -> Tried:
            async with places:
                return await means.tried(text, case)

        return await gather_all(*(one(case) for case in batch))

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> dict[str, list[Evidence]]:
        """Return what the diagnostician is shown of a batch: what failed, or all if none did."""
        tried: list[Tried] = eval_batch.trajectories
        shown = [each for each in tried if not each.passed] or tried
        return {name: [each.evidence for each in shown] for name in components_to_update}

    def propose_new_texts(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Evidence]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        """Return a text that our writer makes of our diagnosis; nothing, if it is the same."""
        old = candidate[_PROMPT]
        draft = self.bridge.wait(lambda: self._write(old, reflective_dataset[_PROMPT]))
        text = storable(draft.prompt.strip())
        if text in ("", old):
            return {}
        self.rationales.setdefault(text, draft.rationale)
        return {_PROMPT: text}

    async def _write(self, text: str, evidence: Sequence[Evidence]) -> Draft:
        """Diagnose a text by what became of a batch, and write; each time in another manner."""
        findings = await self.brief.means.diagnosed(text, evidence)
        manner = MANNERS[self._written % len(MANNERS)]
        self._written += 1
        return await write(replace(self.brief, incumbent=text, findings=findings), manner)
