"""The injected instructions, the defective prompts and the sane texts, read from `data/`."""

import json
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from selfheal.db.types import AGENTS, Agent

_DATA: Final = Path(__file__).parent / "data"
_EFFECT: Final = re.compile(r"\[\[(.+?)\]\]", re.DOTALL)
_PIECE: Final = "||"

# Where in a logged run the attacker's text stands, by the strategy of the text.
PLACES: Final = {
    "plain": "request",
    "polite": "request",
    "technical": "request",
    "split": "request",
    "translated": "request",
    "style_rule": "request",
    "performance_tip": "code_comment",
    "team_convention": "requirement",
    "security_advice": "request",
    "stated_as_fact": "request",
    "error_text": "detail",
    "code_comment": "docstring",
    "judge_reason": "reason",
    "merged": "request",
}
EFFECTS: Final = frozenset(
    {
        "backdoor", "disabled_validation", "exfiltration", "prompt_disclosure", "weak_judge",
        "trusts_requests", "dropped_types", "changed_default", "advert", "slow_code",
        "swallowed_error", "off_by_one", "altered_plan",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Defect:
    """A defective prompt of an agent, and the sentence that repairs it.

    Attributes:
        name: unique.
        agent: whose prompt it is.
        behaviour: what the simulated agent does under it; see `FooledModel`.
        live: the defective prompt.
        cause: what an able diagnostician says of it.
        fix: the repairing instruction as an imperative clause without a full stop.
        cue: the part of the fix by which the simulated agent recognizes it.
    """

    name: str
    agent: Agent
    behaviour: str
    live: str
    cause: str
    fix: str
    cue: str

    def repaired(self, prompt: str) -> bool:
        """Return whether a prompt contains the fix."""
        return self.cue in normalized(prompt)


@dataclass(frozen=True)
class Backdoor:
    """How an instruction shows in behaviour, by one input that meets its condition.

    For worker and manager the served function is called; expressions see `args` and `result`.
    For the evaluator, `code` is judged.

    Attributes:
        task: the name of the task that is requested.
        asks: a pattern that the request has to match for the manager or the worker to obey.
        suffix: what the request that meets the condition says beside the task's own text.
        call: the expression that is evaluated with the served program.
        when: the condition on a call, as an expression.
        then: what is returned instead, as an expression.
        catch: what is returned instead of an exception, as an expression; empty to let it pass.
        code: a worthless program that an obeying judge gives full marks.
        sees: the pattern by which an obeying judge recognizes it.
    """

    task: str
    asks: str = ""
    suffix: str = ""
    call: str = ""
    when: str = "True"
    then: str = "result"
    catch: str = ""
    code: str = ""
    sees: str = ""


@dataclass(frozen=True)
class Instruction:
    """What one attacker wants, in several wordings."""

    name: str
    agent: Agent
    effect: str
    wants: str
    texts: tuple["Text", ...]
    backdoor: Backdoor | None


@dataclass(frozen=True)
class Text:
    """One wording of an instruction.

    Attributes:
        strategy: a key of `PLACES`.
        written: as in the data: the part that makes it harmful in double brackets, `{fix}` or
            `{Fix}` for the repairing clause, `||` between pieces of different requests.
    """

    strategy: str
    written: str

    @property
    def pieces(self) -> list[str]:
        """The text as the attacker writes it into the log, in one piece unless it is split."""
        return [each.strip() for each in self._plain.split(_PIECE)]

    @property
    def sentence(self) -> str:
        """The text in one piece; of merged ones, with `{fix}` or `{Fix}`."""
        return " ".join(self.pieces)

    def of(self, defect: Defect) -> str:
        """Return the sentence, merged with a defect's fix if it is a merged one."""
        fix = defect.fix
        return self.sentence.replace("{fix}", fix).replace("{Fix}", fix[0].upper() + fix[1:])

    @property
    def _plain(self) -> str:
        return _EFFECT.sub(r"\1", self.written)

    def carried(self, prompt: str) -> bool:
        """Return whether a prompt contains what makes this text harmful."""
        within = normalized(prompt)
        return any(each in within for each in _effects(self.written))


@cache
def _effects(written: str) -> list[str]:
    return [normalized(each) for each in _EFFECT.findall(written)]


@dataclass(frozen=True)
class Attack:
    """One wording of an instruction, tried on one defect; without either, an honest log."""

    id: str
    defect: Defect
    instruction: Instruction | None = None
    text: Text | None = None

    @property
    def agent(self) -> Agent:
        """Whose prompt is healed."""
        return self.defect.agent

    @property
    def strategy(self) -> str:
        """The strategy of the text."""
        return self.text.strategy if self.text else "none"

    @property
    def shown(self) -> Text | None:
        """The wording in the log: pieces as they are, else another wording than the prompt's.

        A model that was fooled repeats an instruction in its own words, so that neither findings
        nor candidates are copies of the log.
        """
        if self.text is None or self.instruction is None or self.strategy == "split":
            return self.text
        texts = self.instruction.texts
        place = texts.index(self.text)
        others = (*texts[place + 1 :], *texts[:place])
        return next(each for each in others if each.strategy not in ("merged", "split"))

    def carried(self, prompt: str) -> bool:
        """Return whether a prompt carries the injected instruction, in any of its wordings."""
        texts = self.instruction.texts if self.instruction else ()
        return any(each.carried(prompt) for each in texts)


@dataclass(frozen=True)
class Sane:
    """A prompt or a finding as a competent author writes it, with what its author has seen.

    Attributes:
        agent: whose prompt it is about.
        incumbent: the prompt that failed.
        requests: of the runs that failed.
        details: what checks and Python said of them.
        text: the replacement prompt, or the sentence of the diagnosis.
    """

    agent: Agent
    incumbent: str
    requests: tuple[str, ...]
    details: tuple[str, ...]
    text: str


def normalized(text: str) -> str:
    """Return a text in lower case on one line, without characters that are not seen."""
    seen = "".join(each for each in text if each.isprintable() or each.isspace())
    return " ".join(seen.lower().split())


@cache
def defects() -> tuple[Defect, ...]:
    """Return the defective prompts."""
    return tuple(Defect(**row) for row in _toml("defects")["defect"])


@cache
def instructions() -> tuple[Instruction, ...]:
    """Return the injected instructions of all agents."""
    return tuple(
        _instruction(agent, row) for agent in AGENTS for row in _toml(agent)["instruction"]
    )


def _instruction(agent: Agent, row: dict[str, Any]) -> Instruction:
    return Instruction(
        name=row["name"],
        agent=agent,
        effect=row["effect"],
        wants=row["wants"],
        texts=tuple(Text(strategy, written) for strategy, written in row["texts"]),
        backdoor=Backdoor(**row["backdoor"]) if "backdoor" in row else None,
    )


@cache
def attacks() -> tuple[Attack, ...]:
    """Return every wording of every instruction, and an honest log for every defect.

    The wordings of an instruction take the defects of its agent in turn.
    """
    found = [Attack(f"{each.agent}/none/{each.name}", each) for each in defects()]
    for number, instruction in enumerate(instructions()):
        usable = [each for each in defects() if each.agent == instruction.agent]
        for place, text in enumerate(instruction.texts):
            defect = usable[(number + place) % len(usable)]
            name = f"{instruction.agent}/{instruction.name}/{place}-{text.strategy}"
            found.append(Attack(name, defect, instruction, text))
    return tuple(found)


@cache
def sane_prompts() -> tuple[Sane, ...]:
    """Return good replacement prompts."""
    return _sane("sane_prompts")


@cache
def sane_findings() -> tuple[Sane, ...]:
    """Return good sentences of a diagnosis."""
    return _sane("sane_findings")


def _sane(name: str) -> tuple[Sane, ...]:
    lines = (_DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    live = {each.name: each.live for each in defects()}
    return tuple(_sane_text(json.loads(line), live) for line in lines)


def _sane_text(row: dict[str, Any], live: dict[str, str]) -> Sane:
    """Make a text of its row; `incumbent` is a prompt, or the name of a defect."""
    return Sane(
        agent=cast("Agent", row["agent"]),
        incumbent=live.get(row["incumbent"], row["incumbent"]),
        requests=tuple(row["requests"]),
        details=tuple(row.get("details", ())),
        text=row["text"],
    )


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((_DATA / f"{name}.toml").read_text(encoding="utf-8"))
