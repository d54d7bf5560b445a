"""A run as it is requested: by a body of the HTTP API, by a cron, or by a test.

The same type is submitted, stored with the run, and read back when the run is claimed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args
from uuid import UUID

from selfheal.db.encoding import clean

StreamMode = Literal[
    "values",
    "messages",
    "messages-tuple",
    "updates",
    "events",
    "tasks",
    "checkpoints",
    "debug",
    "custom",
]
STREAM_MODES: Final[tuple[StreamMode, ...]] = get_args(StreamMode)
Multitask = Literal["reject", "interrupt", "rollback", "enqueue"]
Durability = Literal["sync", "async", "exit"]
OnCompletion = Literal["delete", "keep"]

RECURSION_LIMIT: Final = 25  # steps


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run is executed. Stored as `runs.kwargs`: the name that LangGraph's API has for it.

    Attributes:
        input: the graph's input; None to continue from the thread's state.
        stream_mode: the kinds of events that are stored for clients; none stores no events.
        stream_resumable: a client that joins the stream without `Last-Event-ID` gets all events.
        tags: tags of the trace.
        recursion_limit: the most steps that the graph may take.
        durability: when checkpoints are written; None for the default, `async`.
        interrupt_before: nodes to stop before.
        interrupt_after: nodes to stop after.
        checkpoint_id: the checkpoint of the thread to start from; None for the newest.
        on_completion: whether the state of a run without a thread is kept.
        temporary: the run has a thread of its own, whose state is deleted when the run ends.
        webhook: URL to which the ended run is posted.
    """

    input: dict[str, Any] | None = None
    stream_mode: tuple[StreamMode, ...] = ()
    stream_resumable: bool = False
    tags: tuple[str, ...] = ()
    recursion_limit: int = RECURSION_LIMIT
    durability: Durability | None = None
    interrupt_before: tuple[str, ...] | None = None
    interrupt_after: tuple[str, ...] | None = None
    checkpoint_id: str | None = None
    on_completion: OnCompletion = "delete"
    temporary: bool = False
    webhook: str | None = None

    @classmethod
    def parse(cls, stored: Mapping[str, Any]) -> "RunOptions":
        """Return the options of a stored run.

        Args:
            stored: `runs.kwargs`, or the payload of a cron, which has the same keys.
        """
        config = stored.get("config") or {}
        place = stored.get("checkpoint") or {}
        before, after = stored.get("interrupt_before"), stored.get("interrupt_after")
        return cls(
            input=stored.get("input"),
            stream_mode=tuple(stored.get("stream_mode") or ()),
            stream_resumable=bool(stored.get("stream_resumable")),
            tags=tuple(config.get("tags") or ()),
            recursion_limit=int(config.get("recursion_limit") or RECURSION_LIMIT),
            durability=stored.get("durability"),
            interrupt_before=None if before is None else tuple(before),
            interrupt_after=None if after is None else tuple(after),
            checkpoint_id=stored.get("checkpoint_id") or place.get("checkpoint_id"),
            on_completion=stored.get("on_completion") or "delete",
            temporary=bool(stored.get("temporary")),
            webhook=stored.get("webhook"),
        )

    def stored(self) -> dict[str, Any]:
        """Return the options as they are stored, and shown as `kwargs` of a run."""
        found: dict[str, Any] = {
            "input": self.input,
            "config": {"tags": list(self.tags), "recursion_limit": self.recursion_limit},
            "stream_mode": list(self.stream_mode),
            "durability": self.durability,
            "interrupt_before": self.interrupt_before,
            "interrupt_after": self.interrupt_after,
            "checkpoint_id": self.checkpoint_id,
            "on_completion": self.on_completion,
            "stream_resumable": self.stream_resumable or None,
            "webhook": self.webhook,
            "temporary": self.temporary or None,
        }
        return dict(clean({key: value for key, value in found.items() if value is not None}))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A run to be submitted.

    Attributes:
        id: the run's id, new.
        thread_id: the thread, which may be new.
        assistant: the name of the graph.
        options: how it is executed.
        tenant: whose run it is.
        metadata: the client's own notes.
        multitask: what happens if the thread has an unfinished run.
        after_seconds: the delay before it may start.
        create_thread: create the thread if the tenant has none of this id.
        idempotency_key: a later request with the same key is the same run.
        body_sha256: SHA-256 of the request's content, in hexadecimal, to compare such requests.
    """

    id: UUID
    thread_id: UUID
    assistant: str
    options: RunOptions = field(default_factory=RunOptions)
    tenant: str = "local"
    metadata: dict[str, Any] = field(default_factory=dict)
    multitask: Multitask = "enqueue"
    after_seconds: float = 0.0
    create_thread: bool = False
    idempotency_key: str | None = None
    body_sha256: str | None = None

    @property
    def text(self) -> str:
        """The request in words, empty for graphs that take none."""
        return str((self.options.input or {}).get("request", ""))

    @property
    def examples(self) -> list[Any]:
        """The stated examples."""
        return list((self.options.input or {}).get("examples") or [])
