"""LangSmith: named traces, each with a tag that says what it was for.

A model call outside of them would be a trace by itself there, under the name of a library's class.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from langsmith import utils
from langsmith.run_helpers import trace

Purpose = Literal["production", "trial", "healing", "check"]


def tag(purpose: Purpose) -> str:
    """Return the tag of all traces with one purpose; traces below them inherit it."""
    return f"selfheal:{purpose}"


@contextmanager
def traced(
    name: str, purpose: Purpose, inputs: Mapping[str, Any], **metadata: Any
) -> Iterator[dict[str, Any]]:
    """Trace what happens inside, below the trace that is under way, if one is.

    Yields:
        A dict for the results: what is put into it are the trace's outputs.
    """
    outputs: dict[str, Any] = {}
    if not utils.tracing_is_enabled():
        yield outputs
        return
    known = {key: value for key, value in metadata.items() if value is not None}
    with trace(name, inputs=dict(inputs), metadata=known, tags=[tag(purpose)]) as tree:
        yield outputs
        tree.end(outputs=outputs)
