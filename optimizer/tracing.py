"""LangSmith: one trace for a healing, its states and trials below, whichever process goes on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from langsmith import RunTree, utils
from langsmith.run_helpers import trace, tracing_context


class HealingTrace:
    """The trace of a pass, and of the healing that it may open: its id is the healing's.

    Its start is in the id too, so that a process that takes the healing over puts its part into
    the very same trace, without having seen the first one's.
    """

    def __init__(self, healing_id: UUID, asked: Mapping[str, Any]) -> None:
        self._tree: RunTree | None = None
        if utils.tracing_is_enabled():
            began = _start(healing_id)
            self._tree = RunTree(
                name="healing", id=healing_id, start_time=began, inputs=dict(asked)
            )

    @contextmanager
    def followed(self, *, resumed: bool) -> Iterator[None]:
        """Trace what happens inside; whoever resumes a healing does not begin its trace again."""
        if self._tree is None:
            yield
            return
        if not resumed:
            self._tree.post()
        with tracing_context(parent=self._tree):
            yield

    def end(self, outputs: Mapping[str, Any], **metadata: Any) -> None:
        """Close the trace with how the healing has ended, and what it is found by."""
        if self._tree is not None:
            known = {name: value for name, value in metadata.items() if value is not None}
            self._tree.add_metadata(known)
            self._tree.end(outputs=dict(outputs))
            self._tree.patch()


@contextmanager
def traced_trial(name: str, **metadata: Any) -> Iterator[dict[str, Any]]:
    """Trace what happens inside as one trial; what is put into the yielded dict is its result."""
    result: dict[str, Any] = {}
    if not utils.tracing_is_enabled():
        yield result
        return
    with trace(name, metadata=metadata) as tree:
        yield result
        tree.end(outputs=result)


def _start(healing_id: UUID) -> datetime:
    """Return the moment that is written in a UUID of version 7."""
    if healing_id.version != 7:  # of a healing that an older version of ours has opened
        return datetime.now(UTC)
    return datetime.fromtimestamp((healing_id.int >> 80) / 1000, UTC)
