"""The channels on which pending approvals are announced. Each makes one attempt; none raises."""

import asyncio
import os
import shlex
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from selfheal.app.redaction import redact
from selfheal.db.approval_announcements import Channel
from selfheal.db.healings import Healing
from selfheal.db.setting_types import is_secret
from selfheal.db.settings import SettingsError, secret_values, variables
from selfheal.server.approvals.document import as_pull_request, as_slack_message, title
from selfheal.server.serialization import dumps
from selfheal.server.settings import ServerSettings
from selfheal.server.webhooks.sender import Attempt, WebhookSender
from selfheal.server.webhooks.url_policy import UrlPolicy, WebhookError

COMMAND_SECONDS: Final = 60.0
_MOST_ERROR_BYTES: Final = 4096
# Read by libraries of this service, not only by its settings.
_SECRET_PREFIXES: Final = ("SELFHEAL_", "GOOGLE_", "GEMINI_", "LANGSMITH_", "LANGCHAIN_", "PG")


class ApprovalChannel(Protocol):
    """One way to announce a healing whose candidate waits for approval."""

    async def announce(self, healing: Healing) -> Attempt:
        """Make one attempt and return how it ended."""
        ...


def channels(settings: ServerSettings) -> dict[Channel, ApprovalChannel]:
    """Return the channels that are configured, by name.

    Raises:
        SettingsError: the webhook's address is not allowed, or could not be signed.
    """
    found: dict[Channel, ApprovalChannel] = {}
    if settings.approval_webhook:
        address = settings.approval_webhook.get_secret_value()
        policy = UrlPolicy(bool(settings.webhook_keys), settings.webhook_allow_private)
        try:
            policy.check(address)
        except WebhookError as error:
            raise SettingsError(f"SELFHEAL_APPROVAL_WEBHOOK: {error}") from error
        sender = WebhookSender(settings.webhook_keys, allow_private=settings.webhook_allow_private)
        found["webhook"] = WebhookChannel(sender, address)
    if settings.approval_folder:
        found["folder"] = FolderChannel(settings.approval_folder)
    if settings.approval_command:
        found["command"] = CommandChannel(settings.approval_command.get_secret_value())
    return found


class WebhookChannel:
    """Posts a signed message in Slack's format."""

    def __init__(self, sender: WebhookSender, address: str) -> None:
        self._sender = sender
        self._address = address

    async def announce(self, healing: Healing) -> Attempt:
        """Post the message; its `webhook-id` is the healing's id."""
        body = dumps(as_slack_message(healing)).encode()
        return await self._sender.post(self._address, str(healing.id), body)


class FolderChannel:
    """Writes a Markdown file, which replaces an earlier one of the same healing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def announce(self, healing: Healing) -> Attempt:
        """Write `healing-<id>.md`: complete, or not at all."""
        try:
            await asyncio.to_thread(self._write, healing)
        except OSError as error:
            return Attempt("retry", f"cannot be written: {error.strerror}")
        return Attempt("delivered")

    def _write(self, healing: Healing) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"healing-{healing.id}.md"
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(as_pull_request(healing), encoding="utf-8")
        part.replace(path)


class CommandChannel:
    """Starts an operator's command, without a shell, with the Markdown on its standard input.

    It gets this process's environment without this service's settings and secrets, and with
    HEALING_ID and HEALING_TITLE. It succeeded if it exits with 0.
    """

    def __init__(self, command: str, seconds: float = COMMAND_SECONDS) -> None:
        self._command = shlex.split(command)
        self._seconds = seconds

    async def announce(self, healing: Healing) -> Attempt:
        """Run the command to its end, or kill it and what it started after the time limit."""
        extra = {"HEALING_ID": str(healing.id), "HEALING_TITLE": title(healing)}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={**_environment(os.environ), **extra},
                start_new_session=True,
            )
        except OSError as error:
            return Attempt("retry", f"cannot be started: {error.strerror}")
        try:
            async with asyncio.timeout(self._seconds):
                errors = await _communicate(process, as_pull_request(healing).encode())
        except TimeoutError:
            return Attempt("retry", f"did not end within {self._seconds:g} s")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if process.returncode:
            shown = redact(errors, [*secret_values(ServerSettings)])
            return Attempt("retry", f"exited with {process.returncode}: {shown}")
        return Attempt("delivered")


async def _communicate(process: asyncio.subprocess.Process, text: bytes) -> str:
    """Give a process its input, wait for its end, and return the begin of its errors."""
    if process.stdin is None or process.stderr is None:
        raise RuntimeError("the process was started without pipes")
    writing = asyncio.create_task(_write(process.stdin, text))
    kept = b""
    try:
        while part := await process.stderr.read(_MOST_ERROR_BYTES):
            kept = (kept + part)[:_MOST_ERROR_BYTES]
        await process.wait()
    finally:
        writing.cancel()
    return kept.decode(errors="replace")


async def _write(stdin: asyncio.StreamWriter, text: bytes) -> None:
    with suppress(ConnectionError):  # a command need not read its input
        stdin.write(text)
        await stdin.drain()
        stdin.close()


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without this service's settings and secrets."""
    fields = ServerSettings.model_fields
    secrets = {
        variable
        for name, field in fields.items()
        if is_secret(field)
        for variable in variables(ServerSettings, name)
    }
    return {
        name: value
        for name, value in given.items()
        if name not in secrets and not name.startswith(_SECRET_PREFIXES)
    }
