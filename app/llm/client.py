"""Calling a model: one time limit for everything, retries, fallback models, one more try for an
answer that cannot be used.
"""

import asyncio
import itertools
import logging
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable
from pydantic import BaseModel, SecretStr

from selfheal.app.errors import InfrastructureError, ModelUnavailableError, RunError
from selfheal.app.llm.answers import (
    Shape,
    finished,
    message_usage,
    model_name,
    read_shape,
    read_text,
)
from selfheal.app.llm.errors import Failure, classify
from selfheal.app.llm.providers import DeferredClient, ModelClient, ModelSetupError
from selfheal.app.llm.usage import (
    MODEL_CALLS,
    MODEL_FALLBACKS,
    MODEL_TOKENS,
    NO_USAGE,
    Caller,
    Usage,
    add_to_meter,
    total_usage,
)

logger = logging.getLogger(__name__)

Content = TypeVar("Content")

CALLS_AN_ANSWER: Final = 2  # an answer that cannot be used is requested once more
_RETRIES = 4
_FIRST_WAIT = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Answer(Generic[Content]):
    """A finished answer.

    Attributes:
        content: the text, or the filled structure.
        model: the model's name as the provider reports it.
        usage: of this answer and of an earlier one that could not be used.
    """

    content: Content
    model: str
    usage: Usage


class Model:
    """A chat model with its fallbacks, shared by all runs of a process.

    Args:
        names: `provider:model`, the first choice first.
        keys: the key for a model's calls by its name; None or absent for its provider's variable
            in the environment.
        timeout: seconds for a call as a whole, retries and waits included.
        secrets: texts that no error message may hold, beside the clients' own keys.

    Raises:
        ModelSetupError: one of the models cannot be used.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        keys: Mapping[str, SecretStr | None] | None = None,
        timeout: float = 120.0,
        secrets: Collection[str] = (),
    ) -> None:
        self.name = names[0]
        known = keys or {}
        self._clients = [DeferredClient(name, known.get(name), timeout, secrets) for name in names]
        self._structured: dict[tuple[str, type[BaseModel]], Runnable[Any, Any]] = {}
        self._timeout = timeout
        self._logged_cause = ""

    async def write(self, system: str, human: str, caller: Caller = "optimizer") -> Answer[str]:
        """Return an answer in free text.

        At most `CALLS_AN_ANSWER` answers are requested; retries of failed calls are extra.

        Args:
            system: the system message.
            human: the user's message.
            caller: under which the calls are counted.

        Raises:
            OutputError: the answer is truncated.
            RequestError: the prompt or the answer is blocked for its content.
            InfrastructureError: no answer within the time limit, or an empty or malformed one.
            ModelUnavailableError: neither the model nor a fallback can be used.
        """
        return await self._answer(system, human, None, caller, read_text)

    async def fill(
        self, system: str, human: str, shape: type[Shape], caller: Caller = "optimizer"
    ) -> Answer[Shape]:
        """Return an answer that fills a structure. Arguments, bounds and errors as `write`.

        Args:
            system: the system message.
            human: the user's message.
            shape: the structure.
            caller: under which the calls are counted.

        Raises:
            OutputError: also if the answer does not fit the structure.
        """
        return await self._answer(system, human, shape, caller, partial(read_shape, shape=shape))

    async def _answer(
        self,
        system: str,
        human: str,
        shape: type[BaseModel] | None,
        caller: Caller,
        read: Callable[[AIMessage], Content],
    ) -> Answer[Content]:
        """Call the model, and its fallbacks in turn if it was retired or stays unavailable.

        Each gets an equal share of the time that is left, so that a dead model leaves some for the
        others. An answer that cannot be used is requested once more: from the next model if no
        prompt can have caused it, else from the same one. If the second fails too, the error of
        the first is raised.
        """
        messages = [SystemMessage(system), HumanMessage(human)]
        failures: list[RunError] = []
        unusable: RunError | None = None
        usage = NO_USAGE
        clients = await self.connect()
        end, position = monotonic() + self._timeout, 0
        while position < len(clients) and (monotonic() < end or not failures):
            client, left = clients[position], len(clients) - position
            bound = self._bind(client, shape) if shape else client.chat
            share = (end - monotonic()) / left
            try:
                message = await _call(client, bound, messages, share, caller)
            except (ModelUnavailableError, InfrastructureError) as error:
                failures.append(error)
                position += 1
                continue
            usage = total_usage((usage, message_usage(message)))
            content = _read(message, read, caller)
            if not isinstance(content, RunError):
                self._log_fallback(client, failures if position else ())
                MODEL_FALLBACKS.inc(int(position > 0))
                return Answer(content, model_name(message), usage)
            if unusable:
                raise content
            unusable = content
            failures.append(content)
            position += isinstance(content, InfrastructureError) and left > 1
        raise unusable or _combined(failures)

    def _log_fallback(self, client: ModelClient, failures: Sequence[RunError]) -> None:
        """Log why a fallback answered, since a successful run does not show it.

        Consecutive identical causes are logged once: a retired model fails at every call.
        """
        cause = str(_combined(failures)) if failures else ""
        if cause and cause != self._logged_cause:
            logger.warning("fallback %s answered: %s", client.name, cause)
        self._logged_cause = cause

    def _bind(self, client: ModelClient, shape: type[BaseModel]) -> Runnable[Any, Any]:
        """Return the client bound to a structure; cached, since its schema takes 6 ms."""
        if (client.name, shape) not in self._structured:
            filling = client.chat.with_structured_output(shape, include_raw=True)
            # Without a name its trace would have that of a library's class.
            bound = filling.with_config(run_name=f"fill {shape.__name__}")
            self._structured[client.name, shape] = bound
        return self._structured[client.name, shape]

    async def connect(self) -> list[ModelClient]:
        """Return all clients, after building those that were deferred.

        A service calls this when it starts, so that its first caller does not wait.

        Raises:
            ModelUnavailableError: one cannot be built: its package does not work.
        """
        try:
            return [await client.get() for client in self._clients]
        except ModelSetupError as error:
            raise ModelUnavailableError(str(error)) from error

    async def aclose(self) -> None:
        """Close the connections of all clients that can be closed."""
        for client in self._clients:
            await client.aclose()


def _combined(failures: Sequence[RunError]) -> RunError:
    """Return the last failure with the messages of all, the first choice's first: the cause."""
    if len(failures) == 1:
        return failures[0]
    combined = type(failures[-1])("; ".join(map(str, failures)))
    combined.__cause__ = failures[-1]
    return combined


async def _call(
    client: ModelClient,
    bound: Runnable[Any, Any],
    messages: list[Any],
    seconds: float,
    caller: Caller,
) -> AIMessage:
    """Call one model, with retries, until it answers.

    Raises:
        RunError: a failure that no retry can fix, or that lasted for `seconds` or four retries.
    """
    end = monotonic() + seconds
    previous: RunError | None = None
    for attempt in itertools.count():
        try:
            async with asyncio.timeout(end - monotonic()):
                return await _call_once(bound, messages, caller)
        except RunError:
            raise
        except Exception as error:
            sent = " ".join(message.text for message in messages)
            failure = classify(error, client.name, client.secrets, sent)
            MODEL_CALLS.labels(caller, failure.kind).inc()
            if not failure.worked:
                add_to_meter(calls=-1)
            wait = _wait(failure, attempt)
            # A wait beyond the time limit is not begun: a fallback can use that time.
            retries = CALLS_AN_ANSWER - 1 if failure.answered else _RETRIES
            if not failure.transient or attempt >= retries or monotonic() + wait >= end:
                raise _with_previous(failure, previous) from error
            previous = failure.error
        await asyncio.sleep(wait)
    raise AssertionError("unreachable")  # pragma: no cover


def _with_previous(failure: Failure, previous: RunError | None) -> RunError:
    """Return a failure's error; for a time-out, with the failure that used up the time before."""
    if failure.kind != "timeout" or previous is None:
        return failure.error
    return type(failure.error)(f"{failure.error}; before that: {previous}")


async def _call_once(client: Runnable[Any, Any], messages: list[Any], caller: Caller) -> AIMessage:
    """Make one call and count its usage; a client of a structure wraps its message in a dict.

    Raises:
        InfrastructureError: the result is not a message.
    """
    add_to_meter(calls=1)
    answer = await client.ainvoke(messages)
    message = answer["raw"] if isinstance(answer, dict) else answer
    if not isinstance(message, AIMessage):
        raise InfrastructureError("the model's answer is not a message")
    usage = message_usage(message)
    add_to_meter(input_tokens=usage["input_tokens"], output_tokens=usage["output_tokens"])
    MODEL_TOKENS.labels(caller, "input").inc(usage["input_tokens"])
    MODEL_TOKENS.labels(caller, "output").inc(usage["output_tokens"])
    return message


def _wait(failure: Failure, attempt: int) -> float:
    """Return seconds to wait: a doubling backoff with jitter, or what the server requests."""
    backoff: float = _FIRST_WAIT * 2**attempt * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
    return max(failure.wait, backoff)


def _read(
    message: AIMessage, read: Callable[[AIMessage], Content], caller: Caller
) -> Content | RunError:
    """Return the content of an answer or why it cannot be used, and count which of both it is."""
    try:
        content = read(finished(message))
    except RunError as error:
        MODEL_CALLS.labels(caller, "output").inc()
        return error
    MODEL_CALLS.labels(caller, "ok").inc()
    return content
