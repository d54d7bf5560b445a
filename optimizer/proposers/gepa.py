"""GEPA's search as a proposer, with selfheal's diagnostician and writer as its reflection.

The loop, the Pareto selection and the acceptance on minibatches are those of the `gepa` package
(Agrawal et al., "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning", 2025).
The package is synchronous, so it runs in a thread; trials and model calls are made in the event
loop on its behalf. No other module knows GEPA.
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

from selfheal.app.aio import gather_bounded
from selfheal.db.encoding import storable
from selfheal.db.types import Agent
from selfheal.optimizer.proposers.base import CandidateText, ProposalRequest, ScoredCase
from selfheal.optimizer.proposers.writer import EDIT_STYLES, write
from selfheal.optimizer.records.cases import Case
from selfheal.optimizer.records.diagnosis import Evidence

MINIBATCH: Final = 3
# Trials of one search. A case of the evaluator costs one model call, of the others several.
METRIC_CALLS: Final[Mapping[Agent, int]] = {"worker": 40, "manager": 40, "evaluator": 120}
# GEPA runs an accepted candidate on all cases, so more cases than these leave few candidates.
MOST_CASES: Final[Mapping[Agent, int]] = {"worker": 8, "manager": 8, "evaluator": 20}

_PROMPT: Final = "prompt"  # GEPA evolves named components; this is the only one
_SHARE: Final = 2  # the remaining budget is halved: for the search, and for screening and gate

Value = TypeVar("Value")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best text of a search.

    Attributes:
        text: the text; the incumbent's, if no better one was found.
        rationale: the writer's rationale; empty for the incumbent.
        score: the mean score over the validation cases, from 0 to 1.
        seed_score: the incumbent's mean score over the same cases.
        metric_calls: how many trials were run.
        candidates: how many texts GEPA accepted, the incumbent included.
    """

    text: str
    rationale: str
    score: float
    seed_score: float
    metric_calls: int
    candidates: int

    @property
    def improved(self) -> bool:
        """Whether the text is not the incumbent's and has a higher score."""
        return self.score > self.seed_score


class GepaProposer:
    """Proposes the best text of a search, if its score is higher than the incumbent's."""

    async def propose(self, request: ProposalRequest) -> list[CandidateText]:
        """Search over the request's cases, within half of the remaining budget."""
        cases = request.cases[: MOST_CASES[request.agent]]
        if not cases:
            return []
        within = min(
            METRIC_CALLS[request.agent], await request.toolkit.affordable_trials() // _SHARE
        )
        # With less than one step the search could not start; BudgetSpentError then ends it.
        one_step = len(cases) + 2 * min(MINIBATCH, len(cases))
        best = await search_prompts(
            request, cases, metric_calls=max(within, one_step), seed=request.round
        )
        return (
            [CandidateText(prompt=best.text, rationale=_rationale(best))] if best.improved else []
        )


def _rationale(best: SearchResult) -> str:
    return (
        f"{best.rationale.strip()[:800]} (GEPA: mean score {best.seed_score:.2f} before,"
        f" {best.score:.2f} now; {best.candidates - 1} accepted, {best.metric_calls} trials)"
    )


async def search_prompts(
    request: ProposalRequest,
    train: Sequence[Case],
    validation: Sequence[Case] | None = None,
    *,
    metric_calls: int,
    seed: int = 0,
) -> SearchResult:
    """Run GEPA's search from the request's incumbent to its end.

    When this returns or raises, cancellation included, the search has ended and charges nothing
    more.

    Args:
        request: the incumbent and the toolkit, which must accept all of the cases.
        train: the cases that minibatches are drawn from.
        validation: the cases that candidates are ranked by; the train cases if None.
        metric_calls: the number of trials after which no new step begins. The last step may exceed
            it by two minibatches and the validation cases.
        seed: the seed of the order of the minibatches.

    Raises:
        RunError: the diagnostician or the writer gave no usable answer.
        BudgetSpentError: the budget does not cover a trial or an answer.
        SettingsError: the gepa package is not installed.
    """
    bridge = _EventLoopBridge()
    adapter = _Adapter(request, bridge)
    search = partial(_search, adapter, train, validation, metric_calls, seed)
    running = asyncio.get_running_loop().run_in_executor(None, copy_context().run, search)
    try:
        await asyncio.wait([running])
    finally:
        bridge.stop()
        await _ended(running)
    if bridge.error:
        raise bridge.error
    return running.result()


async def _ended(running: "asyncio.Future[Any]") -> None:
    """Wait until the thread has ended, even if this task is cancelled again."""
    while not running.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([running])
    running.exception()  # otherwise asyncio logs that it was never retrieved


def _search(
    adapter: "_Adapter",
    train: Sequence[Case],
    validation: Sequence[Case] | None,
    metric_calls: int,
    seed: int,
) -> SearchResult:
    """Run GEPA, in a thread: without an experiment tracker, files, or terminal output."""
    result = importlib.import_module("gepa").optimize(
        seed_candidate={_PROMPT: adapter.request.incumbent},
        trainset=list(train),
        valset=None if validation is None else list(validation),
        adapter=adapter,
        reflection_minibatch_size=min(MINIBATCH, len(train)),
        max_metric_calls=metric_calls,
        stop_callbacks=[adapter.bridge.is_stopped],
        logger=_DebugLog(),
        seed=seed,
    )
    text = result.best_candidate[_PROMPT]
    return SearchResult(
        text=text,
        rationale=adapter.rationales.get(text, ""),
        score=result.val_aggregate_scores[result.best_idx],
        seed_score=result.val_aggregate_scores[0],
        metric_calls=result.total_metric_calls,
        candidates=len(result.candidates),
    )


class _DebugLog:
    """Passes GEPA's progress messages to this module's logger."""

    def log(self, message: str) -> None:
        logger.debug("%s", message)


class _StoppedError(Exception):
    """The search is stopping, so no more work is accepted."""


class _EventLoopBridge:
    """Runs coroutines in the event loop on behalf of a thread, until it is stopped."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._stopped = False
        self.error: Exception | None = None

    def stop(self) -> None:
        """Refuse further work and cancel what is running. Called in the event loop."""
        self._stopped = True
        if self._task:
            self._task.cancel()

    def is_stopped(self, _state: Any) -> bool:
        """Tell GEPA whether to stop."""
        return self._stopped

    def wait(self, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Run work in the event loop and wait for its result. Called in the thread."""
        if self._stopped:
            raise _StoppedError
        try:
            return asyncio.run_coroutine_threadsafe(self._do(work), self._loop).result()
        except concurrent.futures.CancelledError as error:
            raise _StoppedError from error

    async def _do(self, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Await the work. An error ends the search: GEPA itself would retry it, at further cost."""
        if self._stopped:
            raise _StoppedError
        self._task = asyncio.current_task()
        try:
            return await work()
        except BaseException as error:
            self._stopped = True
            self.error = error if isinstance(error, Exception) else None
            raise
        finally:
            self._task = None


class _Adapter:
    """GEPA's adapter: evaluates texts on cases, and writes new texts."""

    def __init__(self, request: ProposalRequest, bridge: _EventLoopBridge) -> None:
        self.request = request
        self.bridge = bridge
        self.rationales: dict[str, str] = {}
        self._written = 0

    def evaluate(
        self, batch: list[Case], candidate: dict[str, str], capture_traces: bool = False
    ) -> Any:
        """Return the results of a batch under a candidate, as GEPA's EvaluationBatch."""
        text = candidate[_PROMPT]
        results = self.bridge.wait(lambda: self._score(text, batch))
        return importlib.import_module("gepa").EvaluationBatch(
            outputs=results,
            scores=[result.score for result in results],
            trajectories=results if capture_traces else None,
        )

    async def _score(self, text: str, batch: Sequence[Case]) -> list[ScoredCase]:
        toolkit = self.request.toolkit
        return await gather_bounded(
            toolkit.concurrency, lambda case: toolkit.score(text, case), batch
        )

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> dict[str, list[Evidence]]:
        """Return what the diagnostician is shown: the failures of a batch, or all cases if none."""
        results: list[ScoredCase] = eval_batch.trajectories
        shown = [result for result in results if not result.passed] or results
        return {name: [result.evidence for result in shown] for name in components_to_update}

    def propose_new_texts(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Evidence]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        """Return the writer's text for the batch; an empty dict if it did not change the text."""
        old = candidate[_PROMPT]
        candidate_text = self.bridge.wait(lambda: self._write(old, reflective_dataset[_PROMPT]))
        text = storable(candidate_text.prompt.strip())
        if text in ("", old):
            return {}
        self.rationales.setdefault(text, candidate_text.rationale)
        return {_PROMPT: text}

    async def _write(self, text: str, evidence: Sequence[Evidence]) -> CandidateText:
        """Diagnose a text by the results of a batch and rewrite it, each time in the next style."""
        findings = await self.request.toolkit.diagnose(text, evidence)
        style = EDIT_STYLES[self._written % len(EDIT_STYLES)]
        self._written += 1
        return await write(replace(self.request, incumbent=text, findings=findings), style)
