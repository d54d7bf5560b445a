"""One model call, as far as the wire tells: system instruction, user text, schema."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_BLOCK = re.compile(r'<data id="([^"]+)" of="([^"]+)">\n?(.*?)\n?</data id="\1">', re.DOTALL)
# Nonces, UUIDs and run ids change from call to call; noise must not.
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
    """The request's body is not one that Gemini would take."""


@dataclass(frozen=True)
class Call:
    """What one generateContent request asks for."""

    model: str
    system: str
    text: str
    schema: Mapping[str, Any] | None = None
    function: str | None = None
    max_tokens: int | None = None

    @cached_property
    def blocks(self) -> dict[str, str]:
        """The fenced data of the user's text, by name in lower case."""
        return {name.lower(): body for _, name, body in _BLOCK.findall(self.text)}

    @cached_property
    def words(self) -> str:
        """The user's text outside the fences."""
        return _BLOCK.sub(" ", self.text)

    @cached_property
    def stable_text(self) -> str:
        """The user's text without what is random in it."""
        return _ID.sub("", self.text)

    @cached_property
    def persona(self) -> str:
        """Who is asked, by the properties of the schema; without a schema, the worker."""
        if self.schema is None:
            return "worker"
        names = set(self.schema.get("properties", {}))
        return next((persona for persona, needs in _PERSONAS if needs <= names), "generic")

    def json_block(self, name: str) -> object:
        """Return the block as JSON, or None when there is none or it does not parse."""
        try:
            return json.loads(self.blocks.get(name, "null"))
        except ValueError:
            return None


def parse_call(model: str, body: object) -> Call:
    """Read a generateContent body. Raises BadRequestError in Gemini's words."""
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
    """Return the schema of the answer and, where it is to be a function call, the name."""
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    mode = _object(_object(body.get("toolConfig")).get("functionCallingConfig")).get("mode")
    if schema is not None or mode != "ANY":
        return schema, None
    tools = map(_object, body.get("tools") or [])
    declared = [each for tool in tools for each in tool.get("functionDeclarations") or []]
    if not declared:
        return None, None
    first = _object(declared[0])
    found = first.get("parametersJsonSchema") or first.get("parameters")
    return _object(found), str(first.get("name", ""))
