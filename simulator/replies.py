"""The reply to a call on the wire, made of its answer and the fault for it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from selfheal.simulator import wire
from selfheal.simulator.call import Call
from selfheal.simulator.faults import Fault
from selfheal.simulator.personas import Answer, answer
from selfheal.simulator.state import State

_ERRORS = {
    "unavailable": (503, "The model is overloaded. Please try again later."),
    "internal": (500, "An internal error has occurred. Please retry."),
    "no-access": (403, "The caller does not have permission to use this model."),
    "rate-limit": (
        429,
        "You exceeded your current quota, please check your plan and billing details.",
    ),
}
_NO_JSON = b"<html>Bad gateway</html>"
_BABBLE = "What an interesting question! There are many ways to look at it, and time will tell."


@dataclass(frozen=True)
class Reply:
    """The reply to a call.

    Attributes:
        whole: the body of an answer that is not streamed.
        text: the text of a streamed answer; empty if it is one event with the whole body.
        finish: Gemini's `finishReason`.
        status: the HTTP status.
        cut: the connection is closed before the end.
        raw: the body is not JSON.
    """

    whole: wire.Json
    text: str = ""
    finish: str = "STOP"
    status: int = 200
    cut: bool = False
    raw: bool = False

    def plain(self) -> bytes:
        """Return the body of an answer that is not streamed."""
        return _NO_JSON if self.raw else _dump(self.whole)

    def events(self, call: Call) -> list[bytes]:
        """Return the server-sent events of a streamed answer."""
        if self.raw:
            return [b"data: " + _NO_JSON + b"\r\n\r\n"]
        bodies = _chunks(call, self.text, self.finish) if self.text else [self.whole]
        return [b"data: " + _dump(body) + b"\r\n\r\n" for body in bodies]


def reply(call: Call, state: State, fault: Fault | None) -> Reply:
    """Return the reply to a call."""
    kind = fault.kind if fault else ""
    if fault and (kind in _ERRORS or kind == "retired"):
        return _error(call, fault)
    if kind == "safety-block":
        blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
        return Reply(blocked | wire.trailer(call, ""))
    if kind == "safety-finish":
        return Reply(wire.body(call, [], "SAFETY"))
    return _answer(call, _with_content_fault(answer(call, state.answer_context(call)), kind), kind)


def _error(call: Call, fault: Fault) -> Reply:
    if fault.kind == "retired":
        return Reply(wire.error(404, wire.gone(call.model)), status=404)
    code, message = _ERRORS[fault.kind]
    details = [wire.retry_info(fault.retry_delay)] if code == 429 else []
    return Reply(wire.error(code, message, *details), status=code)


def _with_content_fault(given: Answer, kind: str) -> Answer:
    """Return the answer, changed if the fault concerns its content."""
    if kind == "empty":
        return ""
    if kind == "babble":
        return _BABBLE
    if kind == "invalid-json" and not isinstance(given, str):
        return json.dumps(given)[:-2] + ', "and": so on'
    return given


def _answer(call: Call, given: Answer, kind: str) -> Reply:
    text, called = wire.part_of(call, given)
    finish = "STOP"
    limit = len(text) * 2 // 3 if kind == "truncation" else (call.max_tokens or len(text)) * 4
    if len(text) > limit:
        text, called, finish = text[:limit], None, "MAX_TOKENS"
    parts = [called or {"text": text}] if text else []
    whole = wire.body(call, parts, finish, text)
    streamed = "" if called else text
    return Reply(whole, streamed, finish, cut=kind == "cut-stream", raw=kind == "invalid-body")


def _chunks(call: Call, text: str, finish: str) -> Iterator[wire.Json]:
    pieces = wire.pieces(text)
    for number, piece in enumerate(pieces, start=1):
        last = number == len(pieces)
        yield wire.body(call, [{"text": piece}], finish if last else None, "".join(pieces[:number]))


def _dump(body: wire.Json) -> bytes:
    return json.dumps(body).encode()
