"""The JSON bodies of Gemini's answers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from selfheal.simulator.call import Call

Json = dict[str, Any]
_STATUS = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def tokens(text: str) -> int:
    """Estimate the tokens of a text, a token being about four characters."""
    return (len(text) + 3) // 4


def part_of(call: Call, answer: str | Mapping[str, Any]) -> tuple[str, Json | None]:
    """Return an answer as text, and as a function call if one was requested."""
    if isinstance(answer, str):
        return answer, None
    text = json.dumps(answer, ensure_ascii=False)
    called = {"functionCall": {"name": call.function, "args": dict(answer)}}
    return text, called if call.function else None


def body(call: Call, parts: Sequence[Json], finish: str | None, text: str = "") -> Json:
    """Return a generateContent body; `text` is the answer so far, for the usage."""
    content = {"parts": list(parts), "role": "model"} if parts else {"role": "model"}
    candidate: Json = {"content": content, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **trailer(call, text)}


def trailer(call: Call, text: str) -> Json:
    """Return the fields of every body besides its candidates."""
    prompted, generated = tokens(call.system + call.text), tokens(text)
    usage = {"promptTokenCount": prompted, "totalTokenCount": prompted + generated}
    return {
        "usageMetadata": usage | ({"candidatesTokenCount": generated} if generated else {}),
        "modelVersion": f"SIMULATED-{call.model}",
        "responseId": uuid4().hex,
    }


def error(code: int, message: str, *details: Json) -> Json:
    """Return the body of an error, in the format of Google's services."""
    fields: Json = {"code": code, "message": message, "status": _STATUS[code]}
    return {"error": fields | ({"details": list(details)} if details else {})}


def gone(model: str) -> str:
    """Return Gemini's message for a model that was retired."""
    return (
        f"This model models/{model} is no longer available. Please update your code to use a newer "
        "model for the latest features and improvements."
    )


def unknown(model: str, version: str, method: str) -> str:
    """Return Gemini's message for a model that this version of the API does not have."""
    return (
        f"models/{model} is not found for API version {version}, or is not supported for {method}. "
        "Call ModelService.ListModels to see the list of available models and their supported "
        "methods."
    )


def retry_info(seconds: float) -> Json:
    """Return the error detail with the delay of a retry, in seconds."""
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds:g}s"}


def pieces(text: str, count: int = 4) -> list[str]:
    """Cut a text for streaming."""
    size = max(1, -(-len(text) // count))
    return [text[start : start + size] for start in range(0, len(text), size)]


def model_card(name: str) -> Json:
    """Return a model in the format of `GET /models`."""
    return {
        "name": f"models/{name}",
        "version": "SIMULATED",
        "displayName": f"SIMULATED {name}",
        "inputTokenLimit": 1048576,
        "outputTokenLimit": 65536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
