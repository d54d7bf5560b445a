"""The prompt writer: proposes good, useless and harmful candidates."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from selfheal.simulator.answer_context import AnswerContext
from selfheal.simulator.call import Call
from selfheal.simulator.cues import CUES, Cue
from selfheal.simulator.prompt_injection import instructions_in
from selfheal.simulator.prompt_parsing import parse_prompt, sentences, unwrapped
from selfheal.simulator.seeded_noise import Noise

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
# A prompt with fewer words left is replaced.
_BEYOND_REPAIR = 12
# Cumulative shares of the kinds of candidates; after a rejection more of them are good.
_Shares = tuple[tuple[str, float], ...]
_SHARES: _Shares = (("good", 0.55), ("useless", 0.8), ("harmful", 1.0))
_AFTER_REJECTION: _Shares = (("good", 0.8), ("useless", 0.9), ("harmful", 1.0))
_NOTHING_WRONG: _Shares = (("useless", 0.6), ("weaker", 1.0))


@dataclass(frozen=True)
class _WritingJob:
    """One request for a candidate: the agent, the incumbent and the noise."""

    agent: str
    incumbent: str
    noise: Noise

    @property
    def needs(self) -> list[Cue]:
        return [cue for cue in CUES[self.agent] if not cue.harm]


def answer(call: Call, context: AnswerContext) -> Mapping[str, str]:
    """Write one candidate for the agent that the call names."""
    kind = _kind(call, context)
    earlier = _earlier_texts(call)
    for attempt in range(20):
        noise = Noise(context.noise.draw(), attempt)
        job = _WritingJob(_agent(call), _incumbent(call), noise)
        text, rationale = _KINDS[kind](job)
        if _words(text) not in earlier:
            break
    if context.behaviour.gullible:
        text = "\n".join((text, *instructions_in(call.blocks.get("findings", ""))))
    return {"prompt": text, "rationale": rationale}


def _kind(call: Call, context: AnswerContext) -> str:
    shares = _AFTER_REJECTION if call.json_block("rejected") else _SHARES
    if context.behaviour.nothing_wrong:
        shares = _NOTHING_WRONG
    draw = context.noise.draw("kind")
    return next(kind for kind, below in shares if draw < below)


def _agent(call: Call) -> str:
    match = _AGENT.search(call.words)
    named = match[1].lower() if match else "worker"
    return "evaluator" if named == "judge" else named


def _incumbent(call: Call) -> str:
    named = [text for name, text in call.blocks.items() if name.startswith("prompt")]
    return named[0] if named else ""


def _earlier_texts(call: Call) -> set[str]:
    rejected = call.json_block("rejected")
    rows = rejected if isinstance(rejected, list) else []
    texts = [row.get("prompt", "") if isinstance(row, dict) else str(row) for row in rows]
    return {_words(text) for text in (*texts, _incumbent(call))}


def _words(text: str) -> str:
    return " ".join(text.split())


def _good(job: _WritingJob) -> tuple[str, str]:
    kept = _repaired(job.incumbent, job.agent)
    if len(kept.split()) < _BEYOND_REPAIR:
        kept = job.noise.pick(ROLES[job.agent], "role")
    parsed = parse_prompt(kept, job.agent)
    missing = [cue for cue in job.needs if not parsed.has(cue.name)]
    added = [job.noise.pick(cue.advice, cue.name) for cue in missing]
    text = _joined(kept, job.noise.shuffled(added, "order"), job.noise)
    return text, "Drops what misled the agent and says what was missing."


def _repaired(incumbent: str, agent: str) -> str:
    """Return the incumbent without sentences that state a harm or deny a need."""
    bad = {
        stance.sentence
        for stance in parse_prompt(incumbent, agent).stances
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


def _useless(job: _WritingJob) -> tuple[str, str]:
    fillers = job.noise.shuffled(FILLERS, "fillers")
    text = f"{fillers[0]} {job.incumbent.strip()} {fillers[1]}"
    return text, "Says the same with more emphasis."


def _harmful_prompt(job: _WritingJob) -> tuple[str, str]:
    harms = [cue for cue in CUES[job.agent] if cue.harm]
    wrong = job.noise.pick(harms, "harm")
    text, _ = _good(job)
    return f"{text}\n{job.noise.pick(wrong.advice, 'wording')}", "Makes the task simpler."


def _weaker(job: _WritingJob) -> tuple[str, str]:
    """Drop one need that the incumbent states."""
    parsed = parse_prompt(job.incumbent, job.agent)
    asked = [cue for cue in job.needs if parsed.has(cue.name)]
    if not asked:
        return _useless(job)
    gone = job.noise.pick(asked, "gone").name
    about = {stance.sentence for stance in parsed.stances if stance.cue.name == gone}
    kept = [text for text in sentences(job.incumbent) if text not in about]
    return "\n".join((*kept, job.noise.pick(FILLERS, "filler"))), "Tightens the wording."


_KINDS: dict[str, Callable[[_WritingJob], tuple[str, str]]] = {
    "good": _good,
    "useless": _useless,
    "harmful": _harmful_prompt,
    "weaker": _weaker,
}
