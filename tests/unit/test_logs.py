"""What a line of the log is made of."""

import json
import logging
import sys
from typing import Any

import pytest

from selfheal.server.observability import logs


def line(record: logging.LogRecord, *, verbose: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(logs.formatter("json", verbose=verbose).format(record))
    return made


def record(name: str, message: str, **more: Any) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": name, "msg": message, "levelname": "ERROR", "levelno": logging.ERROR, **more}
    )


def test_of_a_librarys_message_the_first_line_is_kept() -> None:
    said = "Task exception was never retrieved\nfuture: <ValueError('a prompt')>"
    assert line(record("asyncio", said))["message"] == "Task exception was never retrieved"
    assert line(record("asyncio", said), verbose=True)["message"] == said
    assert line(record("selfheal.server.execution.runner", "one\ntwo"))["message"] == "one\ntwo"


def test_what_led_to_an_exception_is_named_by_its_kind() -> None:
    try:
        try:
            raise KeyError("a prompt")
        except KeyError as error:
            raise RuntimeError("code") from error
    except RuntimeError:
        made = line(record("server", "it broke", exc_info=sys.exc_info()))
    assert made["exception"] == "RuntimeError < KeyError"
    assert "a prompt" not in str(made)


def test_what_libraries_add_to_a_record_is_left_out() -> None:
    made = line(record("procrastinate", "a job", job={"request": "a prompt"}, status="success"))
    assert list(made) == ["time", "level", "logger", "message", "status"]


@pytest.mark.parametrize(("wanted", "json_"), [("auto", True), ("json", True), ("text", False)])
def test_no_terminal_no_colour(wanted: str, json_: bool) -> None:
    made = logs.formatter(wanted, verbose=False).format(record("server", "hello"))
    assert made.startswith("{") is json_
    assert "\x1b" not in made
