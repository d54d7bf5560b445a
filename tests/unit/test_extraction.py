"""The code in whatever a model answers."""

import contextlib
import time

import pytest

from graph.errors import OutputError
from graph.extraction import extract, extract_apart
from tests.support.stalls import watched

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
        "In a list:\n\n1. so:\n\n   ```python\n   def f():\n       return 1\n   ```\n",
        f"```python\n{CODE}```\nUse it:\n```python\nprint(f(), f(), f(), f(), f(), f())\n```",
        f"```python\n{CODE}```\n```text\n1, and then a long listing of what it prints\n```",
        f"Old:\n```diff\n-def f(): return 0 # and much more\n```\n```python\n{CODE}```",
        f"```python\n{CODE}```\n\n```output\n```\n",
        f"```{{.python}}\n{CODE}```",
        f"``` python\n{CODE}``` ",
        f"~~~~\n{CODE}~~~~\n",
        f"Use `f`:\n\n```python\n\n\n{CODE}\n\n```",
        CODE,
        f"\n\n{CODE}\n\n",
    ],
)
def test_code_is_found(answer: str) -> None:
    assert extract(answer)[0] == CODE


def test_code_in_a_list_item_loses_its_indent() -> None:
    assert extract("- so:\n```python\n    def f():\n        return 1\n```")[0] == CODE


def test_a_fence_inside_a_string_does_not_end_the_block() -> None:
    code = 'def f():\n    """Say ``` inside."""\n    return "```"\n'
    assert extract(f"```python\n{code}```")[0] == code


def test_a_fence_in_a_docstring_does_not_end_the_block() -> None:
    code = 'def f():\n    """Do.\n\n    ```\n    f()\n    ```\n    """\n    return 1\n'
    assert extract(f"So:\n```python\n{code}```\nDone.") == (code, "So:\nDone.")


def test_what_the_program_lacks_is_taken_from_other_blocks() -> None:
    helper = "def helper():\n    return 1\n"
    main = "def f():\n    total = helper()\n    return total + 1\n"
    test = "def test_f():\n    assert f() == 2\n"
    fenced = [f"```python\n{each}```" for each in (helper, main, test)]
    assert extract("\n\nand\n\n".join(fenced))[0] == f"{helper}\n\n{main}"


def test_of_two_versions_the_longer_counts() -> None:
    longer = "def f():\n    value = 1\n    return value\n"
    assert extract(f"```python\n{CODE}```\nBetter:\n```python\n{longer}```")[0] == longer


HOSTILE = {
    "fences": "```\n" * 50_000,
    "lines": "x\n" * 100_000,
    "marks": "`" * 200_000,
    "marks and another": "~" * 199_999 + "`",
    "brackets": "```python\n(" * 9,
    "blocks": f"```python\n{CODE}```\n" * 4_000,
    "blocks that do not parse": "```python\ndef (\n```\n" * 9_000,
    "strings without end": "```python\n'''\n```\n" * 10_000,
    "fences of every length": "".join(f"{'`' * n}\n'''\n" for n in range(600, 3, -1)),
    "quotation marks": "```python\n" + "'a" * 90_000 + "\n```",
    "an f-string": "```python\nx = f'''" + "{x}" * 20_000 + "'''\n```",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_takes_no_time(name: str) -> None:
    began = time.thread_time()
    with contextlib.suppress(OutputError):
        extract(HOSTILE[name])
    assert time.thread_time() - began < 2  # 0.3 s where no other work is done beside it


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_answer_does_not_stop_the_event_loop(name: str) -> None:
    async with watched() as loop:
        with contextlib.suppress(OutputError):
            await extract_apart(HOSTILE[name])
    loop.assert_quick()


async def test_a_long_answer_is_split_like_a_short_one() -> None:
    answer = f"Before.\n\n```python\n{CODE}```\n\n" + "After. " * 1_000
    assert await extract_apart(answer) == extract(answer)
    with pytest.raises(OutputError, match="holds no code"):
        await extract_apart("Prose. " * 1_000)


async def test_an_answer_beyond_all_measure_is_an_output_error() -> None:
    with pytest.raises(OutputError, match="longer than"):
        await extract_apart(CODE * 20_000)


def test_a_string_that_is_never_closed_does_not_take_the_next_block() -> None:
    text = "It is said:\n```\nso ''' and so on and on and on\n```\n"
    assert extract(f"{text}```python\n{CODE}```\n")[0] == CODE


def test_prose_around_the_code_is_the_explanation() -> None:
    assert extract(f"Before.\n\n```python\n{CODE}```\n\nAfter.")[1] == "Before.\n\nAfter."


@pytest.mark.parametrize(
    "answer", ["Hello!", "sorry", "I cannot do that.", "```python\n\n```", "42"]
)
def test_no_code_is_an_output_error(answer: str) -> None:
    with pytest.raises(OutputError):
        extract(answer)
