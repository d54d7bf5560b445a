"""LangSmith: named traces with a tag for their purpose.

A model call outside of them would be a trace of its own, with the name of a library's class.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from langsmith import utils
from langsmith.run_helpers import trace

Purpose = Literal["production", "trial", "healing", "check"]


def tag(purpose: Purpose) -> str:
    """Return the tag of traces with a purpose; traces below them inherit it."""
    return f"selfheal:{purpose}"


@contextmanager
def traced(
    name: str, purpose: Purpose, inputs: Mapping[str, Any], **metadata: Any
) -> Iterator[dict[str, Any]]:
    """Trace the body, as a child of the current trace if there is one.

    Args:
        name: of the trace.
        purpose: becomes its tag.
        inputs: of the trace.
        metadata: values that are None are left out.

    Yields:
        A dict for the trace's outputs.
    """
    outputs: dict[str, Any] = {}
    if not utils.tracing_is_enabled():
        yield outputs
        return
    known = {key: value for key, value in metadata.items() if value is not None}
    with trace(name, inputs=dict(inputs), metadata=known, tags=[tag(purpose)]) as tree:
        yield outputs
        tree.end(outputs=outputs)
