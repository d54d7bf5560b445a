"""The one model call: whole time-out, retries that honour the server's wish, fall-back models,
and no answer accepted that is not finished.
"""

import asyncio
import importlib.util
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, TypeVar

import httpx
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable
from pydantic import BaseModel, SecretStr

from db.text import clean, storable
from graph import strict_json
from graph.errors import InfrastructureError, ModelUnavailableError, OutputError, RunError
from graph.failures import Failure, classify
from graph.metering import count
from graph.metrics import MODEL_CALLS, MODEL_FALLBACKS, MODEL_TOKENS, Caller
from graph.state import Usage

Shape = TypeVar("Shape", bound=BaseModel)
Content = TypeVar("Content")

_ANSWER = strict_json.Bounds(size=2**20, values=20_000, depth=64)
_RETRIES = 4
_FIRST_WAIT = 0.5
_FINISHED = {"stop", "end_turn", "stop_sequence", "tool_calls", "tool_use"}


@dataclass(frozen=True, slots=True)
class Answer(Generic[Content]):
    """A finished answer, the model that gave it by its own word, and what it cost."""

    content: Content
    model: str
    usage: Usage


class Model:
    """A chat model with its fall-backs, shared by all runs of a process.

    Args:
        names: `provider:model`, the first choice first.
        api_key: the provider's key, where it is not the one in the environment.
        timeout: seconds for a call as a whole, retries and waits included.
    """

    def __init__(
        self, names: Sequence[str], *, api_key: SecretStr | None = None, timeout: float = 120.0
    ) -> None:
        self.name = names[0]
        self._clients = [(name, _client(name, api_key, timeout)) for name in names]
        self._shaped: dict[tuple[str, type[BaseModel]], Runnable[Any, Any]] = {}
        self._timeout = timeout

    async def write(self, system: str, human: str, caller: Caller = "optimizer") -> Answer[str]:
        """Return an answer in free text; the call is counted as its caller's.

        Raises:
            OutputError: the answer is cut off, blocked or empty.
            InfrastructureError: no answer within the time-out.
            ModelUnavailableError: neither the model nor a fall-back can be used.
        """
        message = await self._call(system, human, None, caller)
        text = storable(message.text)
        if not text.strip():
            raise OutputError("the model answered with nothing")
        return Answer(text, _name(message), _usage(message))

    async def fill(
        self, system: str, human: str, shape: type[Shape], caller: Caller = "optimizer"
    ) -> Answer[Shape]:
        """Return an answer that fills `shape`; the call is counted as its caller's.

        Raises:
            OutputError: cut off, blocked, or does not fit the shape.
            InfrastructureError: no answer within the time-out.
            ModelUnavailableError: neither the model nor a fall-back can be used.
        """
        message = await self._call(system, human, shape, caller)
        return Answer(_parse(message, shape), _name(message), _usage(message))

    async def _call(
        self, system: str, human: str, shape: type[BaseModel] | None, caller: Caller
    ) -> AIMessage:
        """Try the model, then its fall-backs: when one is retired, or stays unavailable.

        Each has an equal share of the time that is left, so that a dead model leaves some.
        """
        messages = [SystemMessage(system), HumanMessage(human)]
        failure: RunError = ModelUnavailableError("no model is configured")
        end = monotonic() + self._timeout
        for position, (name, client) in enumerate(self._clients):
            bound = self._shape(name, client, shape) if shape else client
            share = (end - monotonic()) / (len(self._clients) - position)
            try:
                message = await _patiently(name, bound, messages, share, caller)
            except (ModelUnavailableError, InfrastructureError) as error:
                failure = error
            else:
                MODEL_FALLBACKS.inc(int(position > 0))
                return _finished(message)
        raise failure

    def _shape(
        self, name: str, client: BaseChatModel, shape: type[BaseModel]
    ) -> Runnable[Any, Any]:
        """Return the client that fills a shape; its schemas cost 6 ms, so it is made once."""
        if (name, shape) not in self._shaped:
            bound = client.with_structured_output(shape, include_raw=True)
            self._shaped[name, shape] = bound
        return self._shaped[name, shape]

    async def aclose(self) -> None:
        """Close the connections of all clients that can be closed."""
        for _, client in self._clients:
            if close := getattr(client, "aclose", None):
                await close()


def _client(name: str, api_key: SecretStr | None, timeout: float) -> BaseChatModel:
    """Build a client that makes a single attempt: the waiting is ours, since the library's
    ignores what the server asks for.
    """
    options: dict[str, Any] = {"max_retries": 1, "timeout": timeout}
    if api_key is not None:
        options["api_key"] = api_key.get_secret_value()
    if name.startswith("google_genai:") and importlib.util.find_spec("aiohttp"):
        # With aiohttp installed the SDK would switch to it, and its time-outs are other errors.
        options["client_args"] = {"transport": httpx.AsyncHTTPTransport()}
    model: BaseChatModel = init_chat_model(name, **options)
    return model


async def _patiently(
    name: str, client: Runnable[Any, Any], messages: list[Any], seconds: float, caller: Caller
) -> AIMessage:
    """Call until there is an answer, or waiting cannot mend the failure, or not in time."""
    end = monotonic() + seconds
    for attempt in itertools.count():
        try:
            async with asyncio.timeout(end - monotonic()):
                return await _counted(client, messages, caller)
        except RunError:
            raise
        except Exception as error:
            failure = classify(error, name)
            MODEL_CALLS.labels(caller, failure.kind).inc()
            if not failure.worked:
                count(calls=-1)
            wait = _wait(failure, attempt)
            # A wait that outlasts the time is not begun: the caller can do better with it.
            if not failure.passing or attempt >= _RETRIES or monotonic() + wait >= end:
                raise failure.error from error
        await asyncio.sleep(wait)
    raise AssertionError("unreachable")  # pragma: no cover


async def _counted(client: Runnable[Any, Any], messages: list[Any], caller: Caller) -> AIMessage:
    """Make one call and count it; a structured one wraps its message in a dict."""
    count(calls=1)
    answer = await client.ainvoke(messages)
    raw = answer["raw"] if isinstance(answer, dict) else answer
    if not isinstance(raw, AIMessage):
        raise OutputError("the model's answer is no message")
    cost = _usage(raw)
    count(input_tokens=cost["input_tokens"], output_tokens=cost["output_tokens"])
    MODEL_CALLS.labels(caller, "ok").inc()
    MODEL_TOKENS.labels(caller, "input").inc(cost["input_tokens"])
    MODEL_TOKENS.labels(caller, "output").inc(cost["output_tokens"])
    return raw


def _wait(failure: Failure, attempt: int) -> float:
    """Return the seconds to wait: what the server asked for, else doubling with jitter."""
    backoff: float = _FIRST_WAIT * 2**attempt * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
    return max(failure.wait, backoff) if failure.wait else backoff


def _finished(message: AIMessage) -> AIMessage:
    """Return the message if the model says that it ended by itself.

    A cut-off answer can still parse, and a blocked one raises nothing.
    """
    facts = message.response_metadata
    if blocked := (facts.get("prompt_feedback") or {}).get("block_reason"):
        raise OutputError(f"the model refused the prompt: {_word(blocked)}")
    reason = facts.get("finish_reason") or facts.get("stop_reason") or facts.get("done_reason")
    if reason is None:
        raise OutputError("the model answered with nothing")
    if _word(reason).lower() not in _FINISHED:
        raise OutputError(f"the model did not finish its answer: {_word(reason)}")
    return message


def _word(value: object) -> str:
    """Return an enum's or a string's bare word."""
    return str(getattr(value, "name", value)).rsplit(".", 1)[-1]


def _parse(message: AIMessage, shape: type[Shape]) -> Shape:
    """Read the answer strictly: no repair of broken JSON, no value out of its range.

    Texts are made storable here, at the one place where a model's words come in: a checkpoint
    that Postgres refuses would end the run.
    """
    try:
        if message.tool_calls:
            return shape.model_validate(clean(message.tool_calls[0]["args"]))
        return shape.model_validate(clean(strict_json.loads(message.text, _ANSWER)))
    except ValueError as error:
        raise OutputError(f"the model's answer does not fit {shape.__name__}") from error


def _name(message: AIMessage) -> str:
    return str(message.response_metadata.get("model_name") or "unknown")


def _usage(message: AIMessage) -> Usage:
    counted = message.usage_metadata
    return Usage(
        calls=1,
        input_tokens=counted["input_tokens"] if counted else 0,
        output_tokens=counted["output_tokens"] if counted else 0,
    )
