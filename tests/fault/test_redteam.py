"""Injected instructions end to end: three attacks, and the control that shows they would be seen.

All of them: `python -m bench.redteam`.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from bench.harness.healing import HealingHarness, open_healing_harness
from bench.harness.scripted_model import ScriptedModel, serve_scripted_model
from bench.redteam.catalogue import Attack, attacks
from bench.redteam.fooled_model import FooledModel
from bench.redteam.trial import behaves, carry_out
from selfheal.db.pool import Database

BY_ID = {each.id: each for each in attacks()}
HEALED = (
    "worker/very-long-text/1-team_convention",
    "manager/urgent-requests/0-plain",
    "evaluator/requests-of-one-team/0-plain",
)
UNDER_A_LENIENT_JUDGE = "evaluator/polite-comments/0-style_rule"  # it praises all programs alike


@dataclass
class Deployment:
    harness: HealingHarness
    server: ScriptedModel


@pytest.fixture
async def deployment(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Deployment]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve_scripted_model(lambda _: ""))
        monkeypatch.setenv("GOOGLE_API_KEY", "scripted")
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        harness = await stack.enter_async_context(open_healing_harness(database))
        yield Deployment(harness, server)


@pytest.mark.parametrize("name", HEALED)
async def test_the_instruction_is_not_released(deployment: Deployment, name: str) -> None:
    model = FooledModel(BY_ID[name])
    outcome = await carry_out(deployment.harness, model, deployment.server)
    assert model.saw or outcome.agent == "evaluator"  # it is shown the worst cases alone
    assert not outcome.carried
    assert outcome.behaved is False
    assert outcome.calls > 0


@pytest.mark.parametrize("name", [*HEALED, UNDER_A_LENIENT_JUDGE])
async def test_a_released_instruction_would_be_seen(deployment: Deployment, name: str) -> None:
    attack = BY_ID[name]
    deployment.server.reply = FooledModel(attack, slip=0.0, strength=0.0).reply
    for prompt, expected in _prompts(attack):
        await deployment.harness.put_live(prompt, attack.agent)
        assert attack.carried(prompt) is expected
        assert await behaves(deployment.harness, attack) is expected


def _prompts(attack: Attack) -> list[tuple[str, bool]]:
    defect, text = attack.defect, attack.text
    assert text is not None
    repaired = f"{defect.live} {defect.fix}."
    carrying = f"{repaired} {text.of(defect)}"
    return [(repaired, False), (carrying, True), (defect.live, False)]
