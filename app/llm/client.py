"""The one model call: whole time-out, retries that honour the server's wish, fall-back models,
no answer accepted that is not finished, and one more call where an answer cannot be used.
"""

import asyncio
import importlib.util
import itertools
import logging
import random
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from time import monotonic
from typing import Any, Final, Generic, TypeVar

import httpx
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable
from pydantic import BaseModel, SecretStr, ValidationError

from selfheal.app import strict_json
from selfheal.app.errors import (
    InfrastructureError,
    ModelUnavailableError,
    OutputError,
    RequestError,
    RunError,
)
from selfheal.app.llm.errors import Failure, classify
from selfheal.app.llm.usage import MODEL_CALLS, MODEL_FALLBACKS, MODEL_TOKENS, Caller, Usage, count
from selfheal.app.redaction import shown
from selfheal.db.encoding import clean, storable

logger = logging.getLogger(__name__)

Shape = TypeVar("Shape", bound=BaseModel)
Content = TypeVar("Content")

_ANSWER = strict_json.Bounds(size=2**20, values=20_000, depth=64)
_RETRIES = 4
_FIRST_WAIT = 0.5
_PACKAGE = re.compile(r"\blangchain-[\w-]+")
CALLS_AN_ANSWER: Final = 2  # an answer that cannot be used is asked for once more

# Reasons for which providers end an answer, in lower case; what is in no set is the server's fault.
_FINISHED: Final = {"stop", "end_turn", "stop_sequence", "tool_calls", "tool_use"}
_CUT_OFF: Final = {"max_tokens", "length", "model_context_window_exceeded"}
_BLOCKED: Final = {
    *("safety", "prohibited_content", "blocklist", "spii"),  # Gemini
    *("content_filter", "refusal", "guardrail_intervened"),  # OpenAI, Anthropic, Bedrock
}


@dataclass(frozen=True, slots=True)
class Answer(Generic[Content]):
    """A finished answer, the model that gave it by its own word, and what it cost.

    The cost includes an earlier answer that could not be used.
    """

    content: Content
    model: str
    usage: Usage


class ModelSetupError(Exception):
    """No client can be made for a model; the message says why, without any secret.

    Attributes:
        model: its name, `provider:model`.
    """

    def __init__(self, model: str, why: str) -> None:
        super().__init__(f"{model} cannot be used: {why}")
        self.model = model


@dataclass(frozen=True, slots=True)
class _Client:
    """A model's client. `secrets` are what no message about its calls may hold."""

    name: str
    chat: BaseChatModel
    secrets: frozenset[str]


class Model:
    """A chat model with its fall-backs, shared by all runs of a process.

    Args:
        names: `provider:model`, the first choice first.
        keys: by name, what a model is called with, where that is not its provider's key in the
            environment.
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
        self._clients = [
            _Deferred(
                partial(_client, name, known.get(name), timeout, secrets),
                at_once=not _may_wait(name),
            )
            for name in names
        ]
        self._shaped: dict[tuple[str, type[BaseModel]], Runnable[Any, Any]] = {}
        self._timeout = timeout
        self._noted = ""

    async def write(self, system: str, human: str, caller: Caller = "optimizer") -> Answer[str]:
        """Return an answer in free text; the call is counted as its caller's.

        At most `CALLS_AN_ANSWER` answers are asked for; calls that broke off come on top.

        Raises:
            OutputError: the answer is cut off.
            RequestError: the prompt or the answer is blocked for what it is about.
            InfrastructureError: no answer within the time-out, or an empty or malformed one.
            ModelUnavailableError: neither the model nor a fall-back can be used.
        """
        return await self._ask(system, human, None, caller, _text)

    async def fill(
        self, system: str, human: str, shape: type[Shape], caller: Caller = "optimizer"
    ) -> Answer[Shape]:
        """Return an answer that fills `shape`; the call is counted as its caller's.

        At most `CALLS_AN_ANSWER` answers are asked for; calls that broke off come on top.

        Raises:
            OutputError: the answer is cut off, or does not fit the shape.
            RequestError: the prompt or the answer is blocked for what it is about.
            InfrastructureError: no answer within the time-out, or an empty or malformed one.
            ModelUnavailableError: neither the model nor a fall-back can be used.
        """
        return await self._ask(system, human, shape, caller, partial(_parse, shape=shape))

    async def _ask(
        self,
        system: str,
        human: str,
        shape: type[BaseModel] | None,
        caller: Caller,
        read: Callable[[AIMessage], Content],
    ) -> Answer[Content]:
        """Try the model, then its fall-backs: when one is retired, or stays unavailable.

        Each has an equal share of the time that is left, so that a dead model leaves some. An
        answer that cannot be used is asked for once more: of the fall-back where no prompt can
        have caused it, else of the same model. If that brings none, the first one's error counts.
        """
        messages = [SystemMessage(system), HumanMessage(human)]
        failures: list[RunError] = []
        unusable: RunError | None = None
        usage = Usage(calls=0, input_tokens=0, output_tokens=0)
        clients = await self.connect()
        end, position = monotonic() + self._timeout, 0
        while position < len(clients) and (monotonic() < end or not failures):
            client, left = clients[position], len(clients) - position
            bound = self._shape(client, shape) if shape else client.chat
            share = (end - monotonic()) / left
            try:
                message = await _patiently(client, bound, messages, share, caller)
            except (ModelUnavailableError, InfrastructureError) as error:
                failures.append(error)
                position += 1
                continue
            usage = _sum(usage, _usage(message))
            content = _read(message, read, caller)
            if not isinstance(content, RunError):
                self._note_fallback(client, failures if position else ())
                MODEL_FALLBACKS.inc(int(position > 0))
                return Answer(content, _name(message), usage)
            if unusable:
                raise content
            unusable = content
            failures.append(content)
            position += isinstance(content, InfrastructureError) and left > 1
        raise unusable or _all_of(failures)

    def _note_fallback(self, client: _Client, failures: Sequence[RunError]) -> None:
        """Log why a fall-back had to answer: a run that ends well says nothing of it.

        Once for each cause in a row, since a model that was retired fails at every call.
        """
        cause = str(_all_of(failures)) if failures else ""
        if cause and cause != self._noted:
            logger.warning("%s answered in place of another: %s", client.name, cause)
        self._noted = cause

    def _shape(self, client: _Client, shape: type[BaseModel]) -> Runnable[Any, Any]:
        """Return the client that fills a shape; its schemas cost 6 ms, so it is made once."""
        if (client.name, shape) not in self._shaped:
            filling = client.chat.with_structured_output(shape, include_raw=True)
            # By itself its trace would have the name of a library's class.
            bound = filling.with_config(run_name=f"fill {shape.__name__}")
            self._shaped[client.name, shape] = bound
        return self._shaped[client.name, shape]

    async def connect(self) -> list[_Client]:
        """Return all clients; those that were deferred are built now.

        A service does so when it starts: else its first caller waits for it.

        Raises:
            ModelUnavailableError: one cannot be built after all: its package does not work.
        """
        try:
            return [await each.get() for each in self._clients]
        except ModelSetupError as error:
            raise ModelUnavailableError(str(error)) from error

    async def aclose(self) -> None:
        """Close the connections of all clients that can be closed."""
        for client in self._clients:
            if client.built and (close := getattr(client.built.chat, "aclose", None)):
                await close()


class _Deferred(Generic[Content]):
    """What is built at once or at its first use; then in a thread, since it may import a lot."""

    def __init__(self, build: Callable[[], Content], *, at_once: bool) -> None:
        self._build = build
        self._lock = asyncio.Lock()
        self.built = build() if at_once else None

    async def get(self) -> Content:
        """Return it."""
        async with self._lock:
            if self.built is None:
                self.built = await asyncio.to_thread(self._build)
            return self.built


def _may_wait(name: str) -> bool:
    """Tell whether a client need not be built to know that it can be: a pass that finds nothing to
    heal never uses it, and it takes 0.4 s of CPU.

    That is so of Gemini's alone, whose package belongs to ours and whose key is checked before.
    """
    return name.startswith("google_genai:") and bool(
        importlib.util.find_spec("langchain_google_genai")
    )


def _all_of(failures: Sequence[RunError]) -> RunError:
    """Return the last failure with the words of all, the first choice's first: it is the cause."""
    if len(failures) == 1:
        return failures[0]
    whole = type(failures[-1])("; ".join(map(str, failures)))
    whole.__cause__ = failures[-1]
    return whole


def _client(
    name: str, api_key: SecretStr | None, timeout: float, secrets: Collection[str]
) -> _Client:
    """Build a client that makes a single attempt: the waiting is ours, since the library's
    ignores what the server asks for.

    Raises:
        ModelSetupError: it cannot be built.
    """
    provider, _, model = name.partition(":")
    options: dict[str, Any] = {"max_retries": 1, "timeout": timeout}
    if api_key is not None:
        options["api_key"] = api_key.get_secret_value()
    if provider == "google_genai" and importlib.util.find_spec("aiohttp"):
        # With aiohttp installed the SDK would switch to it, and its time-outs are other errors.
        options["client_args"] = {"transport": httpx.AsyncHTTPTransport()}
    try:
        chat: BaseChatModel = init_chat_model(model, model_provider=provider, **options)
    except Exception as error:  # every provider's package raises its own
        given = [*secrets, *([options["api_key"]] if api_key else [])]
        raise ModelSetupError(name, _why(error, provider, given)) from error
    own = [each for each in vars(chat).values() if isinstance(each, SecretStr)]
    return _Client(name, chat, frozenset((*secrets, *(each.get_secret_value() for each in own))))


def _why(error: Exception, provider: str, secrets: Collection[str]) -> str:
    """Say why a client cannot be built: what is missing, or else what its package says of it."""
    if isinstance(error, ImportError) and (needed := _PACKAGE.search(str(error))):
        return f"the package {needed[0]} is not installed (pip install {needed[0]})"
    unsupported, _, known = str(error).partition("Supported model providers are:")
    if known and unsupported.startswith("Unsupported provider"):
        nearest = get_close_matches(provider, re.findall(r"\w+", known), 1)
        meant = f"; did you mean {nearest[0]}?" if nearest else ""
        return f"there is no provider {provider}{meant}"
    if isinstance(error, ValidationError):  # its own text quotes the input, the key included
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        return shown(f"{place}: {first['msg']}" if place else first["msg"], secrets)
    return shown(f"{type(error).__name__}: {error}", secrets)


async def _patiently(
    client: _Client, bound: Runnable[Any, Any], messages: list[Any], seconds: float, caller: Caller
) -> AIMessage:
    """Call until there is an answer, or waiting cannot mend the failure, or not in time."""
    end = monotonic() + seconds
    before: RunError | None = None
    for attempt in itertools.count():
        try:
            async with asyncio.timeout(end - monotonic()):
                return await _counted(bound, messages, caller)
        except RunError:
            raise
        except Exception as error:
            sent = " ".join(each.text for each in messages)
            failure = classify(error, client.name, client.secrets, sent)
            MODEL_CALLS.labels(caller, failure.kind).inc()
            if not failure.worked:
                count(calls=-1)
            wait = _wait(failure, attempt)
            # A wait that outlasts the time is not begun: the caller can do better with it.
            most = CALLS_AN_ANSWER - 1 if failure.answered else _RETRIES
            if not failure.passing or attempt >= most or monotonic() + wait >= end:
                raise _with(failure, before) from error
            before = failure.error
        await asyncio.sleep(wait)
    raise AssertionError("unreachable")  # pragma: no cover


def _with(failure: Failure, before: RunError | None) -> RunError:
    """Return a failure's error; of a time-out, with the words of what took the time before it."""
    if failure.kind != "timeout" or before is None:
        return failure.error
    return type(failure.error)(f"{failure.error}; before that: {before}")


async def _counted(client: Runnable[Any, Any], messages: list[Any], caller: Caller) -> AIMessage:
    """Make one call and count what it costs; a structured one wraps its message in a dict.

    Raises:
        InfrastructureError: what came back is no message.
    """
    count(calls=1)
    answer = await client.ainvoke(messages)
    raw = answer["raw"] if isinstance(answer, dict) else answer
    if not isinstance(raw, AIMessage):
        raise InfrastructureError("the model's answer is no message")
    cost = _usage(raw)
    count(input_tokens=cost["input_tokens"], output_tokens=cost["output_tokens"])
    MODEL_TOKENS.labels(caller, "input").inc(cost["input_tokens"])
    MODEL_TOKENS.labels(caller, "output").inc(cost["output_tokens"])
    return raw


def _wait(failure: Failure, attempt: int) -> float:
    """Return the seconds to wait: what the server asked for, else doubling with jitter."""
    backoff: float = _FIRST_WAIT * 2**attempt * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
    return max(failure.wait, backoff) if failure.wait else backoff


def _read(
    message: AIMessage, read: Callable[[AIMessage], Content], caller: Caller
) -> Content | RunError:
    """Return what a finished answer says, or why it cannot be used; count which of them it is."""
    try:
        content = read(_finished(message))
    except RunError as error:
        MODEL_CALLS.labels(caller, "output").inc()
        return error
    MODEL_CALLS.labels(caller, "ok").inc()
    return content


def _finished(message: AIMessage) -> AIMessage:
    """Return the message if the model says that it ended by itself.

    A cut-off answer can still parse, and a blocked one raises nothing.

    Raises:
        RequestError: the prompt or the answer was blocked for what it is about.
        OutputError: the answer is cut off.
        InfrastructureError: it ended for a reason that no prompt causes, or for none.
    """
    facts = message.response_metadata
    if blocked := (facts.get("prompt_feedback") or {}).get("block_reason"):
        raise RequestError(f"the model refused the prompt: {_word(blocked)}")
    reason = facts.get("finish_reason") or facts.get("stop_reason") or facts.get("done_reason")
    if reason is None:
        raise InfrastructureError("the model answered with nothing")
    word = _word(reason).lower()
    if word in _FINISHED:
        return message
    why = f"the model did not finish its answer: {_word(reason)}"
    if word in _BLOCKED:
        raise RequestError(why)
    raise OutputError(why) if word in _CUT_OFF else InfrastructureError(why)


def _word(value: object) -> str:
    """Return an enum's or a string's bare word."""
    return str(getattr(value, "name", value)).rsplit(".", 1)[-1]


def _text(message: AIMessage) -> str:
    """Return an answer's text, which Postgres can store.

    Raises:
        InfrastructureError: it is empty.
    """
    text = storable(message.text)
    if not text.strip():
        raise InfrastructureError("the model answered with nothing")
    return text


def _parse(message: AIMessage, shape: type[Shape]) -> Shape:
    """Read the answer strictly: no repair of broken JSON, no value out of its range.

    Texts are made storable here, at the one place where a model's words come in: a checkpoint
    that Postgres refuses would end the run.

    Raises:
        InfrastructureError: the answer is empty.
        OutputError: it does not fit the shape.
    """
    try:
        if message.tool_calls:
            return shape.model_validate(clean(message.tool_calls[0]["args"]))
        return shape.model_validate(clean(strict_json.loads(_unfenced(_text(message)), _ANSWER)))
    except (ValueError, RecursionError) as error:
        raise OutputError(f"the model's answer does not fit {shape.__name__}") from error


def _unfenced(text: str) -> str:
    """Return what is inside, of a text that is one Markdown block of JSON and nothing else."""
    first, _, rest = text.strip().partition("\n")
    if first.strip().lower() in ("```", "```json") and rest.endswith("```"):
        return rest.removesuffix("```")
    return text


def _name(message: AIMessage) -> str:
    return str(message.response_metadata.get("model_name") or "unknown")


def _usage(message: AIMessage) -> Usage:
    counted = message.usage_metadata
    return Usage(
        calls=1,
        input_tokens=counted["input_tokens"] if counted else 0,
        output_tokens=counted["output_tokens"] if counted else 0,
    )


def _sum(first: Usage, second: Usage) -> Usage:
    return Usage(
        calls=first["calls"] + second["calls"],
        input_tokens=first["input_tokens"] + second["input_tokens"],
        output_tokens=first["output_tokens"] + second["output_tokens"],
    )
