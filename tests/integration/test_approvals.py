"""Pending approvals are announced: on every channel, at least once, with diff and evidence."""

import asyncio
import json
import os
import shlex
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from bench.harness.healing import KNOWN, defect, open_healing_harness
from selfheal.db import healings, prompts
from selfheal.db.approval_announcements import Channel
from selfheal.db.healings import Closing, Healing, Hold
from selfheal.db.pool import Database
from selfheal.db.reasons import because
from selfheal.db.settings import SettingsError
from selfheal.optimizer.rollout import approval
from selfheal.server.approvals.announcer import ApprovalAnnouncer
from selfheal.server.approvals.channels import (
    ApprovalChannel,
    CommandChannel,
    FolderChannel,
    channels,
)
from selfheal.server.approvals.document import as_slack_message
from selfheal.server.settings import read_settings
from selfheal.server.webhooks.sender import Attempt
from tests.support.webhook_receiver import SECRET, receiving


class Recording:
    """A channel that answers with given attempts, the last one for ever."""

    def __init__(self, *attempts: Attempt) -> None:
        self.attempts = list(attempts or (Attempt("delivered"),))
        self.announced: list[UUID] = []

    async def announce(self, healing: Healing) -> Attempt:
        self.announced.append(healing.id)
        return self.attempts.pop(0) if len(self.attempts) > 1 else self.attempts[0]


async def staged(database: Database) -> UUID:
    """Close a healing whose candidate waits for approval; its receipt cannot be read."""
    hold = Hold(uuid4(), uuid4())
    async with database.transaction() as connection:
        incumbent = (await prompts.head(connection, "worker")).version
        terms: dict[str, Any] = {"incumbent_version": incumbent, "lease": 60}
        await healings.open_(connection, hold, agent="worker", trigger="test", **terms)
        added = await prompts.add(connection, "worker", f"Better {hold.id}.", author="optimizer")
        reason = because("note", text="<!channel> see `it`")
        closing = Closing("needs_approval", reason, {}, added.version)
        assert await healings.close(connection, hold, closing)
    return hold.id


def announcer(database: Database, **given: ApprovalChannel) -> ApprovalAnnouncer:
    named: Mapping[Channel, ApprovalChannel] = given  # type: ignore[assignment]
    return ApprovalAnnouncer(database, named)


async def hurry(database: Database) -> None:
    """Let all waits and leases be over."""
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE approval_announcements SET due_at = clock_timestamp() WHERE ended_at IS NULL"
        )


async def get(database: Database, healing_id: UUID) -> Healing:
    async with database.connection() as connection:
        return await healings.get(connection, healing_id)


async def test_a_real_healing_is_announced_on_every_channel(
    database: Database, gemini: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "from command"
    script = f"cat > {shlex.quote(str(out))}; env > {shlex.quote(str(out))}.env"
    monkeypatch.setenv("SELFHEAL_ROLLOUT", "manual")
    async with receiving() as receiver:
        monkeypatch.setenv("SELFHEAL_WEBHOOK_SECRET", SECRET)
        monkeypatch.setenv("SELFHEAL_WEBHOOK_ALLOW_PRIVATE", "true")
        monkeypatch.setenv("SELFHEAL_APPROVAL_WEBHOOK", f"{receiver.url}/services/T0/B0/abc")
        monkeypatch.setenv("SELFHEAL_APPROVAL_FOLDER", str(tmp_path / "approvals"))
        monkeypatch.setenv("SELFHEAL_APPROVAL_COMMAND", f"sh -c {shlex.quote(script)}")
        monkeypatch.setenv("GH_TOKEN", "for-the-command")
        async with open_healing_harness(database) as harness:
            await harness.put_live_alone(await defect(gemini, "hello-world"))
            await harness.run(*KNOWN[:3])
            result = await harness.heal()
        assert result["outcome"] == "needs_approval"
        announced = ApprovalAnnouncer(database, channels(read_settings()))
        await announced.announce_due()
        await announced.announce_due()
        (got,) = await receiver.has(1)
    healing_id = result["healing_id"]
    assert (got.path, got.id, got.is_signed()) == ("/services/T0/B0/abc", healing_id, True)
    version = f"Approve version {result['to_version']} of the worker's prompt"
    assert got.received["text"] == version
    assert all(len(each["text"]["text"]) <= 3000 for each in got.received["blocks"])
    assert "+++ candidate" in json.dumps(got.received["blocks"])
    document = (tmp_path / "approvals" / f"healing-{healing_id}.md").read_text(encoding="utf-8")
    assert document.startswith(f"# {version}\n")
    for part in ("````diff\n--- worker", "e-value", f"selfheal healings approve {healing_id}"):
        assert part in document
    assert [each.name for each in (tmp_path / "approvals").iterdir()] == [
        f"healing-{healing_id}.md"
    ]
    assert out.read_text(encoding="utf-8") == document
    given = out.with_name(f"{out.name}.env").read_text(encoding="utf-8")
    assert f"HEALING_ID={healing_id}" in given
    assert "GH_TOKEN=for-the-command" in given
    assert "SELFHEAL_" not in given
    assert SECRET not in given
    assert "GOOGLE_API_KEY" not in given


async def test_each_approval_is_announced_once_by_several_processes(database: Database) -> None:
    waiting = {await staged(database) for _ in range(6)}
    channel = Recording()
    several = [announcer(database, folder=channel) for _ in range(3)]
    for _ in range(2):
        await asyncio.gather(*(each.announce_due() for each in several))
    assert sorted(channel.announced) == sorted(waiting)


async def test_a_failed_attempt_is_repeated_until_it_is_given_up(database: Database) -> None:
    healing_id = await staged(database)
    channel = Recording(Attempt("retry", "away"), Attempt("retry", "away"), Attempt("delivered"))
    one = announcer(database, command=channel)
    await one.announce_due()
    await one.announce_due()
    assert channel.announced == [healing_id]  # it waits before the second attempt
    for _ in range(3):
        await hurry(database)
        await one.announce_due()
    assert channel.announced == [healing_id] * 3
    never = Recording(Attempt("retry", "away"))
    for _ in range(14):
        await announcer(database, webhook=never).announce_due()
        await hurry(database)
    assert len(never.announced) == 10


async def test_what_a_dead_process_claimed_is_announced_by_another(database: Database) -> None:
    healing_id = await staged(database)

    class Dying(Recording):
        async def announce(self, healing: Healing) -> Attempt:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await announcer(database, folder=Dying()).announce_due()
    channel = Recording()
    await announcer(database, folder=channel).announce_due()
    assert channel.announced == []  # the lease of the dead process has not expired
    await hurry(database)
    await announcer(database, folder=channel).announce_due()
    assert channel.announced == [healing_id]


async def test_what_was_decided_is_not_announced_any_more(database: Database) -> None:
    healing_id = await staged(database)
    failing = Recording(Attempt("retry", "away"))
    await announcer(database, folder=failing).announce_due()
    async with database.transaction() as connection:
        await approval.reject(connection, healing_id, actor="test")
    await hurry(database)
    await announcer(database, folder=failing).announce_due()
    assert failing.announced == [healing_id]


async def test_slack_reads_no_mention_in_what_others_wrote(database: Database) -> None:
    message = as_slack_message(await get(database, await staged(database)))
    assert "<!channel>" not in json.dumps(message)
    assert "&lt;!channel&gt; see 'it'" in message["blocks"][0]["text"]["text"]


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("sh -c 'echo no such pull request >&2; exit 3'", "exited with 3: no such pull request"),
        ("sh -c 'sleep 60 & sleep 60'", "did not end within 0.3 s"),
        ("/no/such/program", "cannot be started: No such file or directory"),
        ("sh -c 'echo $PPID-whsec_aaaaaaaaaaaaaaaaaaaaaaaaaaaa >&2; exit 1'", "exited with 1: "),
    ],
)
async def test_a_command_that_fails_is_repeated(
    database: Database, command: str, error: str
) -> None:
    healing = await get(database, await staged(database))
    attempt = await CommandChannel(command, 0.3 if "sleep" in command else 20).announce(healing)
    assert (attempt.result, attempt.error.startswith(error)) == ("retry", True), attempt.error
    assert "whsec_" not in attempt.error


async def test_a_command_need_not_read_its_input_and_may_write_much(database: Database) -> None:
    healing = await get(database, await staged(database))
    noisy = f"{sys.executable} -c \"import sys; sys.stderr.write('x' * 10_000_000)\""
    for command in ("true", noisy):
        assert (await CommandChannel(command).announce(healing)).result == "delivered"


async def test_a_folder_that_cannot_be_written_is_tried_again(
    database: Database, tmp_path: Path
) -> None:
    healing = await get(database, await staged(database))
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    attempt = await FolderChannel(blocked / "folder").announce(healing)
    assert (attempt.result, attempt.error) == ("retry", "cannot be written: Not a directory")
    if os.getuid():
        closed = tmp_path / "closed"
        closed.mkdir(mode=stat.S_IRUSR)
        assert (await FolderChannel(closed).announce(healing)).result == "retry"


@pytest.mark.parametrize(
    ("secret", "address", "error"),
    [
        (None, "https://hooks.example/x", "cannot be signed: set SELFHEAL_WEBHOOK_SECRET"),
        (SECRET, "http://hooks.example/x", "must be https"),
        (SECRET, "https://127.0.0.1/x", "must be a public address"),
    ],
)
def test_an_address_that_is_not_allowed_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, secret: str | None, address: str, error: str
) -> None:
    monkeypatch.setenv("SELFHEAL_APPROVAL_WEBHOOK", address)
    if secret:
        monkeypatch.setenv("SELFHEAL_WEBHOOK_SECRET", secret)
    with pytest.raises(SettingsError, match=f"SELFHEAL_APPROVAL_WEBHOOK: {error}") as raised:
        channels(read_settings())
    assert "/x" not in str(raised.value)
