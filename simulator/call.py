"""A model call, parsed from the wire: system instruction, user text and schema."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_BLOCK = re.compile(r'<data id="([^"]+)" of="([^"]+)">\n?(.*?)\n?</data id="\1">', re.DOTALL)
# Nonces, UUIDs and run ids differ between repetitions of a call and must not change its noise.
_ID = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{4,}\b|\b(?=[a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE
)
_PERSONAS = (
    ("judge", {"correctness", "completeness"}),
    ("diagnostician", {"root_causes", "suggestions"}),
    ("manager", {"requirements", "signature"}),
    ("writer", {"prompt", "rationale"}),
)


class BadRequestError(ValueError):
    """Gemini would not accept the body of the request."""


@dataclass(frozen=True)
class Call:
    """The content of one generateContent request."""

    model: str
    system: str
    text: str
    schema: Mapping[str, Any] | None = None
    function: str | None = None
    max_tokens: int | None = None

    @cached_property
    def blocks(self) -> dict[str, str]:
        """The fenced blocks of the user's text, by their names in lower case."""
        return {name.lower(): body for _, name, body in _BLOCK.findall(self.text)}

    @cached_property
    def words(self) -> str:
        """The user's text without the fenced blocks."""
        return _BLOCK.sub(" ", self.text)

    @cached_property
    def stable_text(self) -> str:
        """The user's text without ids."""
        return _ID.sub("", self.text)

    @cached_property
    def persona(self) -> str:
        """The persona that answers, by the properties of the schema; without one, the worker."""
        if self.schema is None:
            return "worker"
        names = set(self.schema.get("properties", {}))
        return next((persona for persona, needs in _PERSONAS if needs <= names), "generic")

    def json_block(self, name: str) -> object:
        """Return a block parsed as JSON; None if there is none or it is invalid."""
        try:
            return json.loads(self.blocks.get(name, "null"))
        except ValueError:
            return None


def parse_call(model: str, body: object) -> Call:
    """Parse a generateContent body.

    Raises:
        BadRequestError: the body is invalid; the message is Gemini's.
    """
    if not isinstance(body, dict):
        raise BadRequestError("Invalid JSON payload received. Root element must be a message.")
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        raise BadRequestError("* GenerateContentRequest.contents: contents is not specified\n")
    config = _object(body.get("generationConfig"))
    schema, function = _wanted_schema(body, config)
    system = body.get("systemInstruction") or body.get("system_instruction")
    turns = [turn for turn in map(_object, contents) if turn.get("role", "user") == "user"]
    limit = config.get("maxOutputTokens")
    return Call(
        model,
        system=_text(system),
        text="\n".join(map(_text, turns)),
        schema=schema,
        function=function,
        max_tokens=limit if isinstance(limit, int) and limit > 0 else None,
    )


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(content: object) -> str:
    parts = map(_object, _object(content).get("parts") or [])
    return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _wanted_schema(
    body: dict[str, Any], config: dict[str, Any]
) -> tuple[Mapping[str, Any] | None, str | None]:
    """Return the schema of the answer, and the function's name if it is a function call."""
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    mode = _object(_object(body.get("toolConfig")).get("functionCallingConfig")).get("mode")
    if schema is not None or mode != "ANY":
        return schema, None
    tools = map(_object, body.get("tools") or [])
    declared = [
        declaration for tool in tools for declaration in tool.get("functionDeclarations") or []
    ]
    if not declared:
        return None, None
    first = _object(declared[0])
    schema = first.get("parametersJsonSchema") or first.get("parameters")
    return _object(schema), str(first.get("name", ""))
