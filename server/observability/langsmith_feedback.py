"""What LangSmith is told and asked beside the traces: scores of runs, and where its pages are.

Its client may block for minutes, so all this has a thread of its own, which nobody waits for.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, Final
from uuid import UUID, uuid5

from langsmith import run_trees, utils
from langsmith.schemas import TracerSession

from selfheal.db.runs import Feedback

logger = logging.getLogger(__name__)

_MOST_WAITING: Final = 200
_FIRST_PAUSE: Final = 0.5  # seconds until the project is looked for again
_LONGEST_PAUSE: Final = 30.0
_ATTEMPTS: Final = 3
_SCORES: Final = ("score", "rule_score", "llm_score", "passed")


class Traces:
    """Tells LangSmith of scores, and knows a trace's address; does neither until it is opened."""

    def __init__(self) -> None:
        self._waiting: Queue[dict[str, Any] | None] = Queue(_MOST_WAITING)
        self._closing = Event()
        self._thread: Thread | None = None
        self._project: TracerSession | None = None
        self._full = False

    def open(self) -> None:
        """Begin. The thread is a daemon: a dead LangSmith does not hold up the exit."""
        self._thread = Thread(target=self._work, name="langsmith-scores", daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Tell what waits still, for so many seconds at most."""
        if self._thread is not None:
            self._closing.set()
            with suppress(Full):
                self._waiting.put_nowait(None)
            self._thread.join(seconds)
            if untold := sum(each is not None for each in self._waiting.queue):
                logger.warning("LangSmith was not told of %d scores", untold)

    def address(self, trace_id: UUID) -> str | None:
        """Return where LangSmith shows a trace; None while its project is not known."""
        return f"{self._project.url}/r/{trace_id}" if self._project else None

    def evaluated(self, run_id: UUID, evaluation: Mapping[str, Any]) -> None:
        """Give a run's trace the scores of its evaluation; those that it has are overwritten."""
        for key in _SCORES:
            if evaluation[key] is not None:
                self._put(run_id, key, float(evaluation[key]), key, feedback_source_type="model")

    def said(self, feedback: Feedback) -> None:
        """Give a run's trace what a person said of it."""
        name = f"user_score {feedback.id}"
        comment = feedback.comment or None
        self._put(feedback.run_id, "user_score", feedback.score, name, comment=comment)

    def _put(self, run_id: UUID, key: str, score: float, name: str, **more: Any) -> None:
        """Have a score told. Its id is the run's and its name's, so that it is told once."""
        if self._thread is None:
            return
        ids = {"run_id": run_id, "trace_id": run_id, "feedback_id": uuid5(run_id, name)}
        try:
            self._waiting.put_nowait({**ids, "key": key, "score": score, **more})
            self._full = False
        except Full:
            if not self._full:
                logger.warning("LangSmith is told of no more scores until it takes those that wait")
            self._full = True

    def _work(self) -> None:
        """Find the project, then tell, until there is nothing more to come."""
        pause = _FIRST_PAUSE
        while (project := self._found()) is None:
            if self._closing.is_set():
                return
            self._closing.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        self._project = project
        while (score := self._waiting.get()) is not None:
            self._tell({**score, "session_id": project.id})

    def _found(self) -> TracerSession | None:
        """Return the project; None while there is none: it is made by its first trace."""
        client = run_trees.get_cached_client()
        try:
            project: TracerSession = client.read_project(project_name=utils.get_tracer_project())
            return project
        except Exception as error:
            logger.debug("LangSmith's project is not known: %s", error)
            return None

    def _tell(self, score: dict[str, Any]) -> None:
        try:
            client = run_trees.get_cached_client()
            client.create_feedback(**score, stop_after_attempt=_ATTEMPTS)
        except Exception as error:
            told = (score["key"], score["run_id"], type(error).__name__)
            logger.warning("LangSmith did not take the %s of run %s: %s", *told)
