"""The bank of tasks with a sound solution each, and how a request finds its task."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from selfheal.simulator.asks import AskIndex
from selfheal.simulator.fitting import Stated, has_signature
from selfheal.simulator.tasks import BankError, Task, read_file
from selfheal.simulator.wording import read_wording, stems
from selfheal.simulator.words import WordIndex

BANK_FOLDER = Path(__file__).parent / "bank"
# A request with fewer words is short.
_DESCRIBING = 14
_CAMEL = re.compile(r"[a-z][A-Z]")


class Bank:
    """The tasks, found by a short request, by entry-point name, or by the words of a long one."""

    def __init__(self, tasks: Iterable[Task], first: Iterable[Task] = ()) -> None:
        self.tasks = {task.name: task for task in tasks}
        """Tasks whose requests say in full what is wanted. On them, defects are measured."""
        self.first = {task.name: task for task in first}
        """What people type first, found by what asks for it alone."""
        self._asks = AskIndex([*self.tasks.values(), *self.first.values()])
        self._words = WordIndex({name: task.told for name, task in self.tasks.items()})
        self._names = re.compile(r"(?<![\w.])(" + "|".join(map(re.escape, self.tasks)) + r")\b")

    def find(self, *texts: str, stated: tuple[Stated, ...] = ()) -> Task | None:
        """Return the task, or its variant, that the texts ask for.

        Args:
            texts: the request, then what else there is, such as the plan.
            stated: the examples that the request states.
        """
        request = texts[0]
        asked = self._asks.find(request, stated)
        if asked:
            return asked
        name = self._named(texts)
        if name is None and not _is_short(request):
            name = self._words.find(request)
        return self.tasks[name] if name and _may_be(self.tasks[name], request) else None

    def _named(self, texts: Iterable[str]) -> str | None:
        """Return the task's name that the first text with any has most often."""
        for text in texts if self.tasks else ():
            named = Counter(match[1] for match in self._names.finditer(text) if _is_name(match))
            if named:
                return named.most_common(1)[0][0]
        return None


def _is_short(request: str) -> bool:
    """Tell whether a request has too few words to be known by their likeness to a task's."""
    return len(request.split()) < _DESCRIBING


def _may_be(task: Task, request: str) -> bool:
    """Tell whether nothing in a request that names the task says that it wants something else."""
    wording = read_wording(request)
    if wording is None or not re.search(rf"\b{task.name}\b", request):
        return True
    own = [each for each in wording.signatures if each.name == task.name]
    if own and not has_signature(task, replace(wording, given_name=task.name)):
        return False
    known = frozenset(stems(f"{task.told} {task.solution}"))
    return not _is_short(request) or wording.content <= known | wording.name_words


def _is_name(match: re.Match[str]) -> bool:
    """Tell a function's name from a plain word that is spelt the same."""
    text, (start, end) = match.string, match.span()
    if "_" in match[1] or text[end : end + 1] == "(" or _CAMEL.search(match[1]):
        return True
    before = text[max(0, start - 12) : start].lower()
    return before.endswith(("`", "def ", "called ", "named ", "function ", "class "))


@cache
def load_bank(folder: Path = BANK_FOLDER) -> Bank:
    """Read and check the `*.toml` of the folder, and of `first` in it.

    Raises:
        BankError: a file is not as it should be; file and task are named.
    """
    names: set[str] = set()
    described, first = (
        [task for path in sorted(each.glob("*.toml")) for task in _read(path, names)]
        for each in (folder, folder / "first")
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
