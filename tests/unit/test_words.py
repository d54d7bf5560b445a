"""The check of `make words` finds each word in every form, and nothing else."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def _load() -> ModuleType:
    spec = spec_from_file_location("words", ROOT / ".ci" / "words.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


words = _load()


@pytest.mark.parametrize("word", words.WORDS)
def test_each_word_is_found_in_prose_identifiers_and_across_lines(word: str) -> None:
    parts = word.split()
    forms = [
        f"It is {word}.",
        word.capitalize(),
        f"({word.upper()})",
        f"until_{'_'.join(parts)}_now",
        f"class Un{''.join(part.capitalize() for part in parts)}Error",
        f"# It {parts[0]}\n# {' '.join(parts[1:])}\n" if parts[1:] else f"x.{word}",
    ]
    for form in forms:
        assert (1, word) in list(words.found_in("server/x.py", form)), form
    assert list(words.found_in("docs/x.md", f"a\nb\n{word}\n")) == [(3, word)]


@pytest.mark.parametrize(
    "text", ["amend, recommend, mender", "stranded", "it goes only", "retold", "TOLDEN", "toldest"]
)
def test_a_word_that_only_contains_one_is_not_found(text: str) -> None:
    assert list(words.found_in("server/x.py", text)) == []


def test_quoted_data_is_allowed_and_only_the_words_that_are_listed() -> None:
    assert list(words.found_in("simulator/bank/first/lists.toml", "somebody told")) == []
    assert list(words.found_in("simulator/bank.py", "somebody told")) != []
    assert list(words.found_in("CHANGELOG.md", "mend")) == []
    assert list(words.found_in("CHANGELOG.md", "told")) == [(1, "told")]


def test_of_tests_only_names_are_checked() -> None:
    text = "# told\nasync def test_nobody() -> None:\n    told = 1\n"
    assert list(words.found_in("tests/unit/test_x.py", text)) == [(2, "nobody")]
    assert list(words.found_in("tests/unit/test_mended.py", "")) == [(1, "mended")]


def test_the_allow_list_names_what_exists() -> None:
    for glob in words.ALLOWED:
        assert list(ROOT.glob(glob)), glob
