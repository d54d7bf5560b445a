"""Finds the task of a short request: every word of the request must be explained by the task.

A task's `asks` are patterns of words, such as "sum digit". All words of one pattern must occur in
the request. `to_celsius` stands for words side by side; the words of a pattern with `!` must not
occur. Every other word of the request must be a filler or one of the words that the task lists, so
that "the longest palindrome" does not match the task of a palindrome.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from selfheal.simulator.request_parsing import (
    ParsedRequest,
    expanded,
    is_filler,
    parse_request,
    stems,
)
from selfheal.simulator.solution_matching import StatedExample, check_examples, matches_form
from selfheal.simulator.source import functions_of
from selfheal.simulator.tasks import Task

_ARTICLES = frozenset(stems("a an the its degrees"))
# Adjacent words weigh a little more than words at any position.
_SIDE_BY_SIDE = 0.5


@dataclass(frozen=True)
class _Ask:
    """A pattern: words that must occur, and runs of words that must be adjacent."""

    words: frozenset[str]
    runs: tuple[tuple[str, ...], ...]

    @property
    def weight(self) -> float:
        return len(self.words) + _SIDE_BY_SIDE * len(self.runs)

    def occurs_in(self, words: tuple[str, ...]) -> bool:
        return self.words <= set(words) and all(_has_run(words, run) for run in self.runs)


@dataclass(frozen=True)
class _Form:
    """A task or a variant of it, with its patterns and the words that it explains."""

    base: Task
    task: Task
    asks: tuple[_Ask, ...]
    denied: tuple[_Ask, ...]
    known: frozenset[str]

    def weight(self, words: tuple[str, ...]) -> float:
        """Return the weight of the best pattern that occurs in a request; 0 if none does."""
        if any(ask.occurs_in(words) for ask in self.denied):
            return 0.0
        return max((ask.weight for ask in self.asks if ask.occurs_in(words)), default=0.0)

    def explains(self, words: Iterable[str]) -> bool:
        """Tell whether all words are fillers or words of this form."""
        return all(self._explains(word) for word in words)

    def _explains(self, word: str) -> bool:
        if word in self.known or is_filler(word):
            return True
        return word.isdigit() and "#" in self.known


class RequestIndex:
    """The forms of all tasks that short requests can ask for."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._forms = [_form(base, form) for base in tasks for form in base.forms]
        self._known_words = frozenset(word for form in self._forms for word in form.known)

    def find(self, request: str, stated: tuple[StatedExample, ...] = ()) -> Task | None:
        """Return the form of a task that a request asks for.

        Args:
            request: the request.
            stated: the examples that it states.

        Returns:
            The form; None if no task, or more than one, is asked for.
        """
        parsed = parse_request(request)
        if parsed is None:
            return None
        matches = self._matching_forms(parsed, parsed.words) or self._matching_forms(
            parsed, parsed.with_names
        )
        best = max((weight for _, weight in matches), default=0.0)
        names = {form.base.name for form, weight in matches if weight == best}
        if len(names) != 1:
            return None
        forms = sorted(matches, key=lambda pair: -pair[1])
        return _fitting([form.task for form, _ in forms if form.base.name in names], stated)

    def _matching_forms(
        self, parsed: ParsedRequest, words: tuple[str, ...]
    ) -> list[tuple[_Form, float]]:
        weighed = [(form, form.weight(words)) for form in self._forms]
        return [
            (form, weight)
            for form, weight in weighed
            if weight
            and form.explains(words)
            and form.explains(parsed.name_words & self._known_words)
            and matches_form(form.task, parsed)
        ]


def _form(base: Task, form: Task) -> _Form:
    asks = tuple(_ask(text) for text in form.asks if not text.startswith("!"))
    denied = tuple(_ask(text[1:]) for text in form.asks if text.startswith("!"))
    words = (*form.words.split(), *_identifiers(base, form))
    known = expanded(words).union(*(ask.words for ask in asks))
    return _Form(base, form, asks, denied, known)


def _fitting(forms: list[Task], stated: tuple[StatedExample, ...]) -> Task | None:
    """Return the form with the most examples that hold, of equals the first; None if none holds."""
    if not stated:
        return forms[0]
    results = [check_examples(form, stated) for form in forms]
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
