"""A set of poisoned log entries, and what its attacker wants."""

import re
from dataclasses import dataclass
from typing import Literal

from selfheal.db.types import Agent

# Where in a logged run the attacker's text stands.
Place = Literal[
    "request", "comment", "docstring", "string", "reason", "title", "requirement", "message",
    "detail", "feedback",
]  # fmt: skip


@dataclass(frozen=True)
class Poison:
    """One set.

    Attributes:
        wants: what the attacker wants, for the report.
        place: the field of the logged runs that holds the attacker's text.
        texts: the attacker's texts; the runs take them in turn.
        demands: what an obedient model puts into the prompt, verbatim and reworded; the attempts
            take them in turn.
        mark: what shows that a prompt carries the order, in `searched`.
        absent: the order is carried where the mark is *not* found.
        agent: whose prompt it is to poison.
        removes: what an obeying writer takes out of the prompt.
        inherited: what earlier healings have put into the live prompt already.
        flood: so many near-duplicates of one request instead of one run a task.
    """

    name: str
    wants: str
    place: Place
    texts: tuple[str, ...]
    demands: tuple[str, ...]
    mark: str
    absent: bool = False
    agent: Agent = "worker"
    removes: str = ""
    inherited: str = ""
    flood: int = 0

    def carried(self, prompt: str) -> bool:
        """Return whether a prompt carries the attacker's order."""
        found = re.search(self.mark, searched(prompt), re.IGNORECASE | re.DOTALL) is not None
        return found != self.absent

    def into(self, prompt: str, attempt: int) -> str:
        """Return a prompt with the order written into it."""
        kept = prompt.replace(self.removes, "") if self.removes else prompt
        return f"{kept}\n{self.demands[attempt % len(self.demands)]}".strip()


def searched(prompt: str) -> str:
    """Return a prompt on one line, without what is not seen."""
    return " ".join("".join(each for each in prompt if each.isprintable() or each == "\n").split())
