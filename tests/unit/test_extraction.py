"""The code in whatever a model answers."""

import pytest

from graph.errors import OutputError
from graph.extraction import extract

CODE = "def f():\n    return 1\n"


@pytest.mark.parametrize(
    "answer",
    [
        f"Here it is.\n\n```python\n{CODE}```\n",
        f"```py\n{CODE}```",
        f"```\n{CODE}```",
        f"~~~python\n{CODE}~~~",
        f"````python\n{CODE}````",
        f"```Python title=x\n{CODE}```",
        f"Cut off:\n```python\n{CODE}",
        f"```python\r\n{CODE}```".replace("\n", "\r\n"),
        f"First:\n```bash\npip install everything and the sink\n```\nthen\n```python\n{CODE}```",
        f"An example:\n```\nf() -> 1, and so on, and so on\n```\n```python\n{CODE}```",
        CODE,
    ],
)
def test_code_is_found(answer: str) -> None:
    assert extract(answer)[0] == CODE


def test_code_in_a_list_item_loses_its_indent() -> None:
    assert extract("- so:\n```python\n    def f():\n        return 1\n```")[0] == CODE


def test_a_fence_inside_a_string_does_not_end_the_block() -> None:
    code = 'def f():\n    """Say ``` inside."""\n    return "```"\n'
    assert extract(f"```python\n{code}```")[0] == code


def test_prose_around_the_code_is_the_explanation() -> None:
    assert extract(f"Before.\n\n```python\n{CODE}```\n\nAfter.")[1] == "Before.\n\nAfter."


@pytest.mark.parametrize(
    "answer", ["Hello!", "sorry", "I cannot do that.", "```python\n\n```", "42"]
)
def test_no_code_is_an_output_error(answer: str) -> None:
    with pytest.raises(OutputError):
        extract(answer)
