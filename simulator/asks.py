"""Finding the task of a short request: everything that it says must be said of the task too.

A task's `asks` are words that ask for it, such as "sum digit"; all words of one must be there.
`to_celsius` stands for words side by side, and an ask that begins with `!` for what must not be
there. Each other word must be a filler or among the words that the task lists, so that "the longest
palindrome" is not taken for a palindrome.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from selfheal.simulator.fitting import Stated, held, takes
from selfheal.simulator.source import functions_of
from selfheal.simulator.tasks import Task
from selfheal.simulator.wording import Wording, expanded, is_filler, read_wording, stems

_ARTICLES = frozenset(stems("a an the its degrees"))
# A neighbour counts a little more than a word that may stand anywhere.
_SIDE_BY_SIDE = 0.5


@dataclass(frozen=True)
class _Ask:
    words: frozenset[str]
    runs: tuple[tuple[str, ...], ...]

    @property
    def weight(self) -> float:
        return len(self.words) + _SIDE_BY_SIDE * len(self.runs)

    def stands_in(self, words: tuple[str, ...]) -> bool:
        return self.words <= set(words) and all(_has_run(words, run) for run in self.runs)


@dataclass(frozen=True)
class _Form:
    """A task's solution, or another form of it, with what asks for it."""

    base: Task
    task: Task
    asks: tuple[_Ask, ...]
    denied: tuple[_Ask, ...]
    known: frozenset[str]

    def weight(self, words: tuple[str, ...]) -> float:
        """Return how much of the request an ask of this form takes up; 0 if none is there."""
        if any(ask.stands_in(words) for ask in self.denied):
            return 0.0
        return max((ask.weight for ask in self.asks if ask.stands_in(words)), default=0.0)

    def explains(self, words: Iterable[str]) -> bool:
        """Tell whether all of the words are fillers or words of this form."""
        return all(self._explains(word) for word in words)

    def _explains(self, word: str) -> bool:
        if word in self.known or is_filler(word):
            return True
        return word.isdigit() and "#" in self.known


class AskIndex:
    """The forms of all tasks that short requests may ask for."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._forms = [_form(base, form) for base in tasks for form in base.forms]
        self._telling = frozenset(word for form in self._forms for word in form.known)

    def find(self, request: str, stated: tuple[Stated, ...] = ()) -> Task | None:
        """Return the one form of a task that is asked for; None where there is none, or several."""
        wording = read_wording(request)
        if wording is None:
            return None
        found = self._found(wording, wording.words) or self._found(wording, wording.with_names)
        best = max((weight for _, weight in found), default=0.0)
        names = {form.base.name for form, weight in found if weight == best}
        if len(names) != 1:
            return None
        forms = sorted(found, key=lambda each: -each[1])
        return _fitting([form.task for form, _ in forms if form.base.name in names], stated)

    def _found(self, wording: Wording, words: tuple[str, ...]) -> list[tuple[_Form, float]]:
        weighed = [(form, form.weight(words)) for form in self._forms]
        return [
            (form, weight)
            for form, weight in weighed
            if weight
            and form.explains(words)
            and form.explains(wording.name_words & self._telling)
            and takes(form.task, wording)
        ]


def _form(base: Task, form: Task) -> _Form:
    asks = tuple(_ask(text) for text in form.asks if not text.startswith("!"))
    denied = tuple(_ask(text[1:]) for text in form.asks if text.startswith("!"))
    words = (*form.words.split(), *_identifiers(base, form))
    known = expanded(words).union(*(ask.words for ask in asks))
    return _Form(base, form, asks, denied, known)


def _fitting(forms: list[Task], stated: tuple[Stated, ...]) -> Task | None:
    """Return the form, the likeliest first, of which most examples hold; None if none does."""
    if not stated:
        return forms[0]
    results = [held(form, stated) for form in forms]
    best = max(results, key=lambda result: result.holding)
    if best.tried and not best.holding:
        return None
    return forms[results.index(best)]


def _ask(text: str) -> _Ask:
    parts = text.split()
    runs = tuple(stems(part) for part in parts if "_" in part)
    return _Ask(frozenset(stems(text)), runs)


def _has_run(words: tuple[str, ...], run: tuple[str, ...]) -> bool:
    kept = tuple(word for word in words if word not in _ARTICLES)
    return any(kept[at : at + len(run)] == run for at in range(len(kept) - len(run) + 1))


def _identifiers(base: Task, form: Task) -> Iterator[str]:
    yield base.name
    if isinstance(form.entry, ast.ClassDef):
        yield "class"
    for function in functions_of(form.entry):
        if not function.name.startswith("__"):
            yield function.name.strip("_")
        yield from (arg.arg for arg in function.args.args)
