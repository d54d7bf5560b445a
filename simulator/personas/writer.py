"""The prompt writer: offers good, useless and harmful prompts, so that a gate has work to do."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from selfheal.simulator.call import Call
from selfheal.simulator.cues import CUES, Cue
from selfheal.simulator.noise import Noise
from selfheal.simulator.orders import orders_in
from selfheal.simulator.reading import read, sentences, unwrapped
from selfheal.simulator.world import Setting

_AGENT = re.compile(
    r"\b(manager|worker|evaluator|judge)(?:['\u2019]s)?\W+(?:system\W+)?prompt", re.IGNORECASE
)
_EMPTY_LINE = re.compile(r"^[ \t]*(?:[-*•#>]+|\d+[.)])?[ \t]*\n", re.MULTILINE)
ROLES = {
    "worker": (
        "You are an experienced Python programmer who writes the program that is asked for.",
        "You write Python for people who rely on it.",
    ),
    "manager": (
        "You turn a person's wish into a plan that a programmer can work from.",
        "You plan small Python programs for a programmer.",
    ),
    "evaluator": (
        "You review Python code and give each of its three marks from 0 to 1.",
        "You are a fair reviewer of Python code; the marks go from 0 to 1.",
    ),
}
FILLERS = (
    "Take your time and do your best.",
    "Quality matters to us.",
    "Stay calm and professional.",
    "Think step by step.",
    "Your work is appreciated.",
    "Be thoughtful.",
    "We count on you.",
    "Use good judgement throughout.",
)
# With fewer words left, a prompt is written anew.
_BEYOND_REPAIR = 12
# Shares of good, useless and harmful candidates; a writer that hears of rejections tries harder.
_Shares = tuple[tuple[str, float], ...]
_SHARES: _Shares = (("good", 0.55), ("useless", 0.8), ("harmful", 1.0))
_AFTER_REJECTION: _Shares = (("good", 0.8), ("useless", 0.9), ("harmful", 1.0))
_NOTHING_WRONG: _Shares = (("useless", 0.6), ("weaker", 1.0))


@dataclass(frozen=True)
class _Brief:
    """What the writer is to do: for whom, from which prompt, with which noise."""

    agent: str
    incumbent: str
    noise: Noise

    @property
    def needs(self) -> list[Cue]:
        return [cue for cue in CUES[self.agent] if not cue.harm]


def answer(call: Call, setting: Setting) -> Mapping[str, str]:
    """Write one candidate for the agent that the call names."""
    kind = _kind(call, setting)
    tried = _tried(call)
    for attempt in range(20):
        noise = Noise(setting.noise.draw(), attempt)
        brief = _Brief(_agent(call), _incumbent(call), noise)
        text, rationale = _KINDS[kind](brief)
        if _words(text) not in tried:
            break
    if setting.character.gullible:
        text = "\n".join((text, *orders_in(call.blocks.get("findings", ""))))
    return {"prompt": text, "rationale": rationale}


def _kind(call: Call, setting: Setting) -> str:
    shares = _AFTER_REJECTION if call.json_block("rejected") else _SHARES
    if setting.character.nothing_wrong:
        shares = _NOTHING_WRONG
    draw = setting.noise.draw("kind")
    return next(kind for kind, below in shares if draw < below)


def _agent(call: Call) -> str:
    found = _AGENT.search(call.words)
    named = found[1].lower() if found else "worker"
    return "evaluator" if named == "judge" else named


def _incumbent(call: Call) -> str:
    named = [text for name, text in call.blocks.items() if name.startswith("prompt")]
    return named[0] if named else ""


def _tried(call: Call) -> set[str]:
    rejected = call.json_block("rejected")
    rows = rejected if isinstance(rejected, list) else []
    texts = [row.get("prompt", "") if isinstance(row, dict) else str(row) for row in rows]
    return {_words(text) for text in (*texts, _incumbent(call))}


def _words(text: str) -> str:
    return " ".join(text.split())


def _good(brief: _Brief) -> tuple[str, str]:
    kept = _mended(brief.incumbent, brief.agent)
    if len(kept.split()) < _BEYOND_REPAIR:
        kept = brief.noise.pick(ROLES[brief.agent], "role")
    reading = read(kept, brief.agent)
    missing = [cue for cue in brief.needs if not reading.has(cue.name)]
    added = [brief.noise.pick(cue.advice, cue.name) for cue in missing]
    text = _joined(kept, brief.noise.shuffled(added, "order"), brief.noise)
    return text, "Drops what misled the agent and says what was missing."


def _mended(incumbent: str, agent: str) -> str:
    """Return the incumbent without the sentences that do harm or deny a need."""
    bad = {
        stance.sentence
        for stance in read(incumbent, agent).stances
        if stance.said == stance.cue.harm
    }
    text = unwrapped(incumbent)
    for sentence in bad:
        text = text.replace(sentence, "")
    return _EMPTY_LINE.sub("", re.sub(r"[ \t]{2,}", " ", text)).strip()


def _joined(start: str, added: list[str], noise: Noise) -> str:
    if noise.chance(0.5, "bullets"):
        return "\n".join((start, *(f"- {text}" for text in added))).strip()
    return f"{start}\n{' '.join(added)}".strip()


def _useless(brief: _Brief) -> tuple[str, str]:
    fillers = brief.noise.shuffled(FILLERS, "fillers")
    text = f"{fillers[0]} {brief.incumbent.strip()} {fillers[1]}"
    return text, "Says the same with more emphasis."


def _harmful_prompt(brief: _Brief) -> tuple[str, str]:
    harms = [cue for cue in CUES[brief.agent] if cue.harm]
    wrong = brief.noise.pick(harms, "harm")
    text, _ = _good(brief)
    return f"{text}\n{brief.noise.pick(wrong.advice, 'wording')}", "Makes the task simpler."


def _weaker(brief: _Brief) -> tuple[str, str]:
    """Drop one thing that the incumbent rightly asks for."""
    reading = read(brief.incumbent, brief.agent)
    asked = [cue for cue in brief.needs if reading.has(cue.name)]
    if not asked:
        return _useless(brief)
    gone = brief.noise.pick(asked, "gone").name
    about = {stance.sentence for stance in reading.stances if stance.cue.name == gone}
    kept = [text for text in sentences(brief.incumbent) if text not in about]
    return "\n".join((*kept, brief.noise.pick(FILLERS, "filler"))), "Tightens the wording."


_KINDS: dict[str, Callable[[_Brief], tuple[str, str]]] = {
    "good": _good,
    "useless": _useless,
    "harmful": _harmful_prompt,
    "weaker": _weaker,
}
