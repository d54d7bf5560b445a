"""The input of the agent: a request and examples."""

from typing import Any, Final

from pydantic import Field, field_validator, model_validator

from selfheal.db.encoding import clean
from selfheal.graph.parsing.literals import (
    LONGEST_CALL,
    LONGEST_LITERAL,
    LONGEST_TOGETHER,
    is_expression,
    is_literal,
)
from selfheal.graph.state import Example, Request
from selfheal.server.api.schemas.base import Body

_PARSED: Final = ("call", "returns", "raises")


class ExampleBody(Body):
    """An executable example. Code that does not satisfy it never passes."""

    call: str = Field(
        min_length=1,
        max_length=LONGEST_CALL,
        description="A Python expression",
        examples=["add(2, 3)"],
    )
    returns: str | None = Field(
        None,
        max_length=LONGEST_LITERAL,
        description="Its result as a Python literal",
        examples=["5"],
    )
    raises: str | None = Field(
        None,
        max_length=200,
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$",
        description="Instead of `returns`: the name of the exception's class",
    )

    @field_validator("call")
    @classmethod
    def _an_expression(cls, value: str) -> str:
        if not is_expression(value):
            raise ValueError("must be one Python expression")
        return value

    @field_validator("returns")
    @classmethod
    def _a_literal(cls, value: str | None) -> str | None:
        if value is not None and not is_literal(value):
            raise ValueError("must be a Python literal")
        return value

    @model_validator(mode="after")
    def _one_of_both(self) -> "ExampleBody":
        if (self.returns is None) == (self.raises is None):
            raise ValueError("needs exactly one of 'returns' and 'raises'")
        return self

    def example(self) -> Example:
        """Return the example as the graph takes it."""
        if self.raises is not None:
            return Example(call=self.call, raises=self.raises)
        return Example(call=self.call, returns=self.returns or "")


def bounded_examples(examples: Any) -> Any:
    """Return unvalidated examples if they are short enough to be parsed in time.

    Raises:
        ValueError: together they are too long.
    """
    rows = examples if isinstance(examples, list) else []
    texts = [row.get(key) for row in rows if isinstance(row, dict) for key in _PARSED]
    if sum(len(text) for text in texts if isinstance(text, str)) > LONGEST_TOGETHER:
        raise ValueError(f"must have at most {LONGEST_TOGETHER} characters together")
    return examples


class RequestBody(Body):
    """A program to write: a request in words, and examples if there are any."""

    request: str = Field(
        min_length=1,
        max_length=20_000,
        description="What the program must do, in words",
        examples=["Write add(a, b) that returns the sum of two integers."],
    )
    examples: list[ExampleBody] = Field(
        default_factory=list, max_length=50, description="Examples that the code must satisfy"
    )

    @field_validator("request")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be blank")
        return value

    @field_validator("examples", mode="before")
    @classmethod
    def _bounded(cls, value: Any) -> Any:
        return bounded_examples(value)

    def input(self) -> Request:
        """Return the request as the graph takes it, its texts storable in Postgres."""
        examples = [each.example() for each in self.examples]
        given: Request = clean(Request(request=self.request, examples=examples))
        return given
