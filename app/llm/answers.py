"""Reading a model's answer: whether it is finished, its text, or the structure that it fills."""

from typing import Final, TypeVar

from langchain_core.messages import AIMessage
from pydantic import BaseModel

from selfheal.app import strict_json
from selfheal.app.errors import InfrastructureError, OutputError, RequestError
from selfheal.app.llm.usage import Usage
from selfheal.db.encoding import clean, storable

Shape = TypeVar("Shape", bound=BaseModel)

_BOUNDS: Final = strict_json.Bounds(size=2**20, values=20_000, depth=64)

# Finish reasons in lower case; one in no set is the server's fault.
_FINISHED: Final = {"stop", "end_turn", "stop_sequence", "tool_calls", "tool_use"}
_CUT_OFF: Final = {"max_tokens", "length", "model_context_window_exceeded"}
_BLOCKED: Final = {
    *("safety", "prohibited_content", "blocklist", "spii"),  # Gemini
    *("content_filter", "refusal", "guardrail_intervened"),  # OpenAI, Anthropic, Bedrock
}


def finished(message: AIMessage) -> AIMessage:
    """Return a message if the model reports that it ended by itself.

    A truncated answer can still parse, and a blocked one raises nothing in the clients.

    Raises:
        RequestError: the prompt or the answer was blocked for its content.
        OutputError: the answer is truncated.
        InfrastructureError: it ended for a reason that no prompt causes, or without a reason.
    """
    metadata = message.response_metadata
    if blocked := (metadata.get("prompt_feedback") or {}).get("block_reason"):
        raise RequestError(f"the model refused the prompt: {_keyword(blocked)}")
    reason = (
        metadata.get("finish_reason") or metadata.get("stop_reason") or metadata.get("done_reason")
    )
    if reason is None:
        raise InfrastructureError("the model gave an empty answer")
    keyword = _keyword(reason).lower()
    if keyword in _FINISHED:
        return message
    text = f"the model did not finish its answer: {_keyword(reason)}"
    if keyword in _BLOCKED:
        raise RequestError(text)
    raise OutputError(text) if keyword in _CUT_OFF else InfrastructureError(text)


def _keyword(value: object) -> str:
    """Return the bare name of an enum's member, or of a string like `FinishReason.STOP`."""
    return str(getattr(value, "name", value)).rsplit(".", 1)[-1]


def read_text(message: AIMessage) -> str:
    """Return an answer's text in a form that Postgres can store.

    Raises:
        InfrastructureError: it is empty.
    """
    text = storable(message.text)
    if not text.strip():
        raise InfrastructureError("the model gave an empty answer")
    return text


def read_shape(message: AIMessage, shape: type[Shape]) -> Shape:
    """Parse an answer strictly: broken JSON is not repaired, values must be in range.

    Texts are made storable here, where a model's output enters: a checkpoint that Postgres refuses
    would end the run.

    Raises:
        InfrastructureError: the answer is empty.
        OutputError: it does not fit the shape.
    """
    try:
        if message.tool_calls:
            return shape.model_validate(clean(message.tool_calls[0]["args"]))
        content = strict_json.loads(_without_fence(read_text(message)), _BOUNDS)
        return shape.model_validate(clean(content))
    except (ValueError, RecursionError) as error:
        raise OutputError(f"the model's answer does not fit {shape.__name__}") from error


def _without_fence(text: str) -> str:
    """Return the content of a text that is exactly one Markdown block of JSON."""
    first, _, rest = text.strip().partition("\n")
    if first.strip().lower() in ("```", "```json") and rest.endswith("```"):
        return rest.removesuffix("```")
    return text


def model_name(message: AIMessage) -> str:
    """Return the model's name as the provider reports it."""
    return str(message.response_metadata.get("model_name") or "unknown")


def message_usage(message: AIMessage) -> Usage:
    """Return the usage of the one call that an answer took."""
    counted = message.usage_metadata
    return Usage(
        calls=1,
        input_tokens=counted["input_tokens"] if counted else 0,
        output_tokens=counted["output_tokens"] if counted else 0,
    )
