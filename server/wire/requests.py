"""What a caller may ask the agent for."""

from collections.abc import Sequence

from pydantic import Field, field_validator, model_validator

from db.text import clean
from graph.expressions import is_expression, is_literal
from graph.state import Example, Request
from server.wire.base import Body

_MOST_TEXT = 50_000


class ExampleBody(Body):
    """An executable example that the code must satisfy. A broken one never passes."""

    call: str = Field(
        min_length=1, max_length=2000, description="A Python expression", examples=["add(2, 3)"]
    )
    returns: str | None = Field(
        None, max_length=20_000, description="Its result as a Python literal", examples=["5"]
    )
    raises: str | None = Field(
        None,
        max_length=200,
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$",
        description="Instead: the name of the exception's class",
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


def not_too_much(examples: Sequence[ExampleBody]) -> None:
    """Keep examples to what can be read and compared in no time.

    Raises:
        ValueError: they are too long together.
    """
    if sum(len(each.call) + len(each.returns or "") for each in examples) > _MOST_TEXT:
        raise ValueError(f"must have at most {_MOST_TEXT} characters together")


class RequestBody(Body):
    """What to write: a request in words, and examples if there are any."""

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

    @field_validator("examples")
    @classmethod
    def _short_together(cls, value: list[ExampleBody]) -> list[ExampleBody]:
        not_too_much(value)
        return value

    def input(self) -> Request:
        """Return the request as the graph takes it, its texts such as Postgres can hold."""
        examples = [each.example() for each in self.examples]
        given: Request = clean(Request(request=self.request, examples=examples))
        return given
