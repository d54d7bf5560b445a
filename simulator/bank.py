"""The bank of tasks with their solutions, and the search for the task of a request."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from selfheal.simulator.request_index import RequestIndex
from selfheal.simulator.request_parsing import parse_request, stems
from selfheal.simulator.solution_matching import StatedExample, has_signature
from selfheal.simulator.tasks import BankError, Task, read_file
from selfheal.simulator.text_index import TextIndex

BANK_FOLDER = Path(__file__).parent / "bank"
_LONG = 14  # words; a request with fewer is short
_CAMEL = re.compile(r"[a-z][A-Z]")


class Bank:
    """The tasks, found by short requests, by the entry point's name, or by similar words."""

    def __init__(self, tasks: Iterable[Task], first: Iterable[Task] = ()) -> None:
        self.tasks = {task.name: task for task in tasks}
        """Tasks with complete requests. The strength of defects is measured on them."""
        self.first = {task.name: task for task in first}
        """Tasks that people try first, found by short requests only."""
        self._request_index = RequestIndex([*self.tasks.values(), *self.first.values()])
        self._text_index = TextIndex({name: task.description for name, task in self.tasks.items()})
        self._names = re.compile(r"(?<![\w.])(" + "|".join(map(re.escape, self.tasks)) + r")\b")

    def find(self, *texts: str, stated: tuple[StatedExample, ...] = ()) -> Task | None:
        """Return the task, or the variant of one, that texts ask for; None if there is none.

        Args:
            texts: the request, then further texts such as the plan.
            stated: the examples that the request states.
        """
        request = texts[0]
        task = self._request_index.find(request, stated)
        if task:
            return task
        name = self._named(texts)
        if name is None and not _is_short(request):
            name = self._text_index.find(request)
        return self.tasks[name] if name and _is_plausible(self.tasks[name], request) else None

    def _named(self, texts: Iterable[str]) -> str | None:
        """Return the most frequent name of a task in the first text that contains any."""
        for text in texts if self.tasks else ():
            named = Counter(match[1] for match in self._names.finditer(text) if _is_name(match))
            if named:
                return named.most_common(1)[0][0]
        return None


def _is_short(request: str) -> bool:
    """Tell whether a request has too few words for a search by similarity."""
    return len(request.split()) < _LONG


def _is_plausible(task: Task, request: str) -> bool:
    """Tell whether a request that names a task does not ask for something else."""
    parsed = parse_request(request)
    if parsed is None or not re.search(rf"\b{task.name}\b", request):
        return True
    own = [signature for signature in parsed.signatures if signature.name == task.name]
    if own and not has_signature(task, replace(parsed, given_name=task.name)):
        return False
    known = frozenset(stems(f"{task.description} {task.solution}"))
    return not _is_short(request) or parsed.content <= known | parsed.name_words


def _is_name(match: re.Match[str]) -> bool:
    """Tell whether a match is the name of a function, not a plain word with the same spelling."""
    text, (start, end) = match.string, match.span()
    if "_" in match[1] or text[end : end + 1] == "(" or _CAMEL.search(match[1]):
        return True
    before = text[max(0, start - 12) : start].lower()
    return before.endswith(("`", "def ", "called ", "named ", "function ", "class "))


@cache
def load_bank(folder: Path = BANK_FOLDER) -> Bank:
    """Read and check the `*.toml` files of a folder and of its subfolder `first`.

    Raises:
        BankError: a file is invalid; the message names file and task.
    """
    names: set[str] = set()
    described, first = (
        [task for path in sorted(subfolder.glob("*.toml")) for task in _read(path, names)]
        for subfolder in (folder, folder / "first")
    )
    if unasked := [task.name for task in first if not task.asks]:
        raise BankError(f"first: task {unasked[0]} has no `asks`, so nothing would find it")
    return Bank(described, first)


def _read(path: Path, names: set[str]) -> Iterator[Task]:
    for task in read_file(path):
        if task.name in names:
            raise BankError(f"{path.name}: task {task.name} is there twice")
        names.add(task.name)
        yield task
