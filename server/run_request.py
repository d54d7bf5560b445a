"""What a run can be asked for, whoever asks: HTTP, a cron, a test."""

from typing import Final, Literal, get_args

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
STREAM_MODES: Final = get_args(StreamMode)
IfNotExists = Literal["create", "reject"]
