"""LangSmith: one trace for a healing, with its states and trials below, across processes.

An optimizer pass that opens no healing sends nothing. So LangChain does not trace the graph itself,
which would start with the run: each state is traced here, once a healing is open.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from langchain_core.runnables.config import var_child_runnable_config
from langsmith import RunTree, utils
from langsmith.run_helpers import tracing_context

from selfheal.app.tracing import tag, traced


class HealingTrace:
    """The trace of a healing: its id is the healing's.

    The id contains its start too, so that a process that takes the healing over adds to the same
    trace without knowing the first process's part.

    Args:
        healing_id: of the healing, which may not be open yet.
        trigger: what the optimizer pass was asked to look at.
        resumed: the healing is open, and another process has started its trace.
    """

    def __init__(self, healing_id: UUID, trigger: Mapping[str, Any], *, resumed: bool) -> None:
        self._tree: RunTree | None = None
        self._begun = resumed
        if utils.tracing_is_enabled():
            self._tree = RunTree(
                name="healing",
                id=healing_id,
                start_time=_start(healing_id),
                inputs=dict(trigger),
                tags=[tag("healing")],
            )

    @contextmanager
    def state(self, name: str, **inputs: Any) -> Iterator[dict[str, Any]]:
        """Trace the body as a state of the open healing.

        Yields:
            A dict for what the state found.
        """
        if self._tree is None:
            yield {}
            return
        if not self._begun:
            self._begun = True
            self._tree.post()
        with (
            tracing_context(parent=self._tree, enabled=True),
            _apart_from_the_graph(),
            traced(name, "healing", inputs) as found,
        ):
            yield found

    def end(self, outputs: Mapping[str, Any], **metadata: Any) -> None:
        """Close the trace, if it was started, with how the healing ended and its metadata."""
        if self._tree is not None and self._begun:
            known = {name: value for name, value in metadata.items() if value is not None}
            self._tree.add_metadata(known)
            self._tree.end(outputs=dict(outputs))
            self._tree.patch()


@contextmanager
def untraced() -> Iterator[None]:
    """Trace nothing of the body but the states of a healing."""
    with tracing_context(enabled=False):
        yield


@contextmanager
def _apart_from_the_graph() -> Iterator[None]:
    """Hide the graph's callbacks from calls in the body, but not the rest of its config.

    They name a node of the untraced graph as the parent, so that each call would become a root.
    """
    config = var_child_runnable_config.get()
    token = var_child_runnable_config.set({**config, "callbacks": None} if config else None)
    try:
        yield
    finally:
        var_child_runnable_config.reset(token)


def _start(healing_id: UUID) -> datetime:
    """Return the time that a UUID of version 7 contains."""
    if healing_id.version != 7:  # of a healing that an older version has opened
        return datetime.now(UTC)
    return datetime.fromtimestamp((healing_id.int >> 80) / 1000, UTC)
