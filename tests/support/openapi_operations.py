"""The operations of an OpenAPI document, one by one, as a test calls them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_NAMED = {"agent": "worker", "assistant_id": "agent"}
_ANY_ID = "00000000-0000-4000-8000-000000000000"
_METHODS = ("get", "put", "post", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    described: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def scopes(self) -> set[str]:
        """What a key needs for it, by the document."""
        ways = self.described.get("security", [])
        return {scope for way in ways for scopes in way.values() for scope in scopes}

    @property
    def takes_body(self) -> bool:
        return "requestBody" in self.described

    @property
    def is_built(self) -> bool:
        return "501" not in self.described["responses"]

    @property
    def ids(self) -> set[str]:
        """The names of what its path leaves open."""
        return set(re.findall(r"{(\w+)}", self.path))

    def url(self, **ids: str) -> str:
        """Return its path with these ids, and any where none is given."""
        return self.path.format_map(dict.fromkeys(self.ids, _ANY_ID) | _NAMED | ids)


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Yield all that a document describes."""
    for path, methods in document["paths"].items():
        for method in methods.keys() & _METHODS:
            yield Operation(method.upper(), path, methods[method])
