"""A run's options are stored and parsed in one place, and read back as they were."""

from dataclasses import fields

from selfheal.db.run_requests import STREAM_MODES, RunOptions
from selfheal.server.api.schemas.create import RunCreate

EVERYTHING = RunOptions(
    input={"request": "add", "examples": []},
    stream_mode=STREAM_MODES,
    stream_resumable=True,
    tags=("a", "b"),
    recursion_limit=7,
    durability="exit",
    interrupt_before=("worker",),
    interrupt_after=(),
    checkpoint_id="1ef",
    on_completion="keep",
    temporary=True,
    webhook="https://app.example/hook",
)


def test_options_are_read_back_as_they_were_stored() -> None:
    assert RunOptions.parse(EVERYTHING.stored()) == EVERYTHING
    assert RunOptions.parse(RunOptions().stored()) == RunOptions()
    default = RunOptions()
    same = [
        each.name
        for each in fields(RunOptions)
        if getattr(EVERYTHING, each.name) == getattr(default, each.name)
    ]
    assert same == [], "every option is tried with another value than its default"


def test_runs_of_earlier_versions_have_defaults() -> None:
    assert RunOptions.parse({}) == RunOptions()


def test_a_crons_payload_has_the_same_options_as_its_body() -> None:
    body = RunCreate.model_validate(
        {
            "assistant_id": "agent",
            "input": {"request": "add"},
            "config": {"tags": ["a"], "recursion_limit": 7},
            "checkpoint": {"checkpoint_id": "1ef"},
            "stream_mode": "updates",
            "interrupt_before": "*",
            "stream_resumable": True,
            "durability": "sync",
            "on_completion": "keep",
            "webhook": "https://app.example/hook",
        }
    )
    stored = body.model_dump(mode="json", exclude_unset=True)
    direct = body.options("agent", streamed=False, temporary=False)
    parsed = RunOptions.parse({**stored, "input": {"request": "add", "examples": []}})
    assert parsed == direct
