"""`selfheal doctor`: the settings in effect, and what is reachable or missing, with remedies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import click
from langsmith.run_helpers import tracing_context

from selfheal.app.errors import RunError
from selfheal.app.llm.models import ModelChoice, every_model, open_model
from selfheal.app.tracing import traced
from selfheal.db.bootstrap import open_for_reading
from selfheal.db.embedded.server import EmbeddedPostgresError, NoClusterError
from selfheal.db.errors import DatabaseError, SchemaError
from selfheal.db.migrate import newer_schema
from selfheal.db.settings import SettingsError
from selfheal.graph.sandbox.packages import configured_packages
from selfheal.graph.sandbox.selection import survey
from selfheal.optimizer.proposers.registry import INSTALL_HINTS, require
from selfheal.server.commands.errors import CommandError
from selfheal.server.commands.output import print_json
from selfheal.server.commands.runtime import run_async
from selfheal.server.commands.settings_reference import in_force
from selfheal.server.model_address import read_settings_beside_service
from selfheal.server.observability.langsmith import tracing
from selfheal.server.settings import ServerSettings, read_settings

_MODEL_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check, or a setting.

    Attributes:
        name: what was checked, or the setting's variable.
        ok: whether it works.
        detail: what was found, or the setting's value.
        remedy: what to do if it does not work.
        needed: whether a run needs it.
        source: where a setting's value is from; empty for a check.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = True
    source: str = ""


@run_async
async def doctor(as_json: bool) -> None:
    """Show the settings in effect and what a run needs, with remedies for what is missing.

    Secrets are shown as set or unset, database addresses without user and password.

    Raises:
        CommandError: exit code 1 if something that a run needs is missing.
    """
    results = [
        CheckResult(variable, True, value, needed=False, source=source)
        for variable, value, source in in_force(read_settings())
    ]
    async with AsyncExitStack() as stack:
        results += await _traces(stack)
        results += [result async for result in _examine(read_settings_beside_service())]
    if as_json:
        print_json(results)
    else:
        for result in results:
            click.echo(_line(result))
    if any(result.needed and not result.ok for result in results):
        raise CommandError("something that a run needs is missing", code=1)


async def _traces(stack: AsyncExitStack) -> list[CheckResult]:
    """Trace the checks while the stack is open; report it if tracing cannot be set up."""
    try:
        await stack.enter_async_context(tracing())
    except SettingsError as error:
        stack.enter_context(tracing_context(enabled=False))
        return [CheckResult("traces", False, str(error))]
    return []


def _line(result: CheckResult) -> str:
    if result.source:
        return f"setting  {result.name}: {result.detail} ({result.source})"
    mark = "ok     " if result.ok else "MISSING" if result.needed else "absent "
    remedy = f" → {result.remedy}" if result.remedy and not result.ok else ""
    return f"{mark}  {result.name}: {result.detail}{remedy}"


async def _examine(settings: ServerSettings) -> AsyncIterator[CheckResult]:
    yield await _guarded("database", _database(settings))
    checks = (_guarded(_use(each), _model(settings, each)) for each in every_model(settings))
    for result in await asyncio.gather(*checks):
        yield result
    yield _proposer(settings)
    try:
        reports = await survey(configured_packages(settings))
    except SettingsError as error:
        yield CheckResult("sandbox", False, str(error), "correct or unset it")
        return
    except Exception as error:
        yield _unexpected("sandbox", error)
        return
    for report in reports:
        yield CheckResult(
            f"sandbox {report.name}", report.ok, report.reason, report.remedy, needed=False
        )
    works = any(report.ok for report in reports)
    yield CheckResult(
        "sandbox",
        works,
        "code is run in a sandbox" if works else "no sandbox works: code is read and not run",
        "make one of the backends above work",
    )


async def _guarded(name: str, check: Awaitable[CheckResult]) -> CheckResult:
    """Return the result of a check; an unexpected exception is a result as well."""
    try:
        return await check
    except Exception as error:
        return _unexpected(name, error)


def _unexpected(name: str, error: Exception) -> CheckResult:
    """Return the result of a check that raised: its type, as the message may quote a secret."""
    return CheckResult(name, False, f"the check failed: {type(error).__name__}")


async def _database(settings: ServerSettings) -> CheckResult:
    name = "Postgres" if settings.database_url else "embedded Postgres"
    try:
        async with open_for_reading(settings) as database, database.connection() as connection:
            row = await (await connection.execute("SHOW server_version")).fetchone()
            newer = await newer_schema(connection)
    except NoClusterError:
        detail = f"none yet in {settings.data_dir}"
        return CheckResult(name, False, detail, "`make serve` creates it", needed=False)
    except SchemaError as error:
        return CheckResult(name, False, str(error), "so does `make serve`", needed=False)
    except (DatabaseError, EmbeddedPostgresError) as error:
        return CheckResult(
            name, False, " ".join(str(error).split()), "check that setting and the server"
        )
    version = row["server_version"] if row else "unknown"
    schema = f"schema of a later version: {newer}" if newer else "schema up to date"
    return CheckResult(name, True, f"version {version}, {schema}")


async def _model(settings: ServerSettings, choice: ModelChoice) -> CheckResult:
    """Call a model once: a key that is set may still be refused."""
    try:
        async with open_model(settings, (choice,), _MODEL_SECONDS) as model:
            with traced("doctor", "check", {"model": choice.name}) as outputs:
                answer = await model.write("Answer with the word yes.", "Are you there?")
                outputs["model"] = answer.model
    except (SettingsError, RunError) as error:
        return CheckResult(_use(choice), False, str(error), f"check {choice.setting} and its key")
    return CheckResult(_use(choice), True, f"{choice.name} answers as {answer.model}")


def _use(choice: ModelChoice) -> str:
    if choice.fallback:
        return f"fall-back model {choice.name}"
    return {"agent": "model", "judge": "judge", "optimizer": "optimizer's model"}[choice.use]


def _proposer(settings: ServerSettings) -> CheckResult:
    """Check that the configured proposer is installed."""
    name = settings.proposer
    try:
        require(name)
    except SettingsError:
        return CheckResult(
            "proposer", False, f"{name} is not installed", INSTALL_HINTS.get(name, "")
        )
    return CheckResult("proposer", True, name)
