"""What an announcement says: Markdown for a pull request, and a message in Slack's format.

The candidate, its diff and the reasons contain text that models wrote: it is fenced or escaped.
"""

from typing import Any, Final

from selfheal.db.healings import Healing
from selfheal.optimizer.policy.rollout_plan import decisive_gate
from selfheal.optimizer.receipt.markdown import as_markdown
from selfheal.optimizer.receipt.schema import CandidateRecord, NoReceiptError, Receipt, receipt_of
from selfheal.optimizer.wording import sentence

_SLACK_SECTION: Final = 2900  # characters; Slack refuses a section of more than 3,000
_FENCE: Final = "````"


def title(healing: Healing) -> str:
    """Return one line that says what waits for approval."""
    return f"Approve version {healing.to_version} of the {healing.agent}'s prompt"


def as_pull_request(healing: Healing) -> str:
    """Return the decision to make as Markdown: the change, its evidence, and how to decide."""
    receipt = _receipt(healing)
    candidate = _candidate(receipt)
    lines = [f"# {title(healing)}", "", f"{_reason(healing)}", "", *_commands(healing)]
    if candidate:
        diff = candidate["diff"].replace(_FENCE, "'" * 4)
        lines += ["", "## Change", "", f"{_FENCE}diff", diff, _FENCE]
    if receipt:
        lines += ["", "---", "", as_markdown(receipt, healing.follow_ups)]
    return "\n".join(lines).rstrip() + "\n"


def as_slack_message(healing: Healing) -> dict[str, Any]:
    """Return the message that Slack's incoming webhooks, and those compatible with it, accept."""
    candidate = _candidate(_receipt(healing))
    head = f"*{_escaped(title(healing))}*\n{_escaped(_reason(healing))}"
    parts = [head]
    if candidate:
        diff = _escaped(candidate["diff"]).replace("```", "'''")
        parts.append(f"```{_cut(diff, _SLACK_SECTION - 6)}```")
    parts.append("\n".join(_escaped(line) for line in _commands(healing)))
    sections = [
        {"type": "section", "text": {"type": "mrkdwn", "text": _cut(part, _SLACK_SECTION)}}
        for part in parts
    ]
    return {"text": title(healing), "blocks": sections}


def _commands(healing: Healing) -> list[str]:
    """Return how to decide, as a list in Markdown."""
    steps = {"approve": "approve it", "reject": "reject it"}
    ways = [
        f"- {what}: `selfheal healings {name} {healing.id}` or `POST /healings/{healing.id}/{name}`"
        for name, what in steps.items()
    ]
    return [*ways, f"- verify the evidence: `selfheal healings show {healing.id} --replay`"]


def _receipt(healing: Healing) -> Receipt | None:
    """Return the receipt; None if this version cannot read it: the announcement is made anyway."""
    try:
        return receipt_of(healing)
    except NoReceiptError:
        return None


def _candidate(receipt: Receipt | None) -> CandidateRecord | None:
    """Return the candidate that waits: that of the decisive gate."""
    if receipt is None or not receipt["gates"]:
        return None
    ordinal = decisive_gate(receipt["gates"])["ordinal"]
    return next((each for each in receipt["candidates"] if each["ordinal"] == ordinal), None)


def _reason(healing: Healing) -> str:
    return " ".join(sentence(healing.reason).replace("`", "'").split())


def _escaped(text: str) -> str:
    """Escape the characters by which Slack's format marks links and mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
