"""`selfheal doctor`: the settings in force; what is reachable and missing, each with its mend."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import click
from langsmith.run_helpers import tracing_context

from selfheal.app.errors import RunError
from selfheal.app.tracing import traced
from selfheal.db.embedded.server import EmbeddedPostgresError, NoClusterError
from selfheal.db.errors import DatabaseError, SchemaError
from selfheal.db.migrate import newer_schema
from selfheal.graph.context import ModelChoice, every_model, open_model, packages_of
from selfheal.graph.database import open_for_reading
from selfheal.graph.sandbox.selection import survey
from selfheal.graph.settings import Settings, SettingsError, read_settings
from selfheal.optimizer.proposers.registry import MENDS, require
from selfheal.server.commands.errors import Refused
from selfheal.server.commands.output import print_json
from selfheal.server.commands.runtime import run_async
from selfheal.server.commands.settings_reference import in_force
from selfheal.server.model_address import read_settings_beside_service
from selfheal.server.observability.langsmith import tracing

_MODEL_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at; what is not `needed` may be missing. A setting has a source."""

    name: str
    ok: bool
    detail: str
    mend: str = ""
    needed: bool = True
    source: str = ""


@run_async
async def doctor(as_json: bool) -> None:
    """Show the settings in force, and what a run needs; say how to mend what is missing.

    Of secrets it says that they are set, of a database's address where it leads.
    """
    found = [
        Diagnosis(variable, True, value, needed=False, source=source)
        for variable, value, source in in_force(read_settings())
    ]
    async with AsyncExitStack() as stack:
        found += await _traces(stack)
        found += [each async for each in _examine(read_settings_beside_service())]
    if as_json:
        print_json(found)
    else:
        for each in found:
            click.echo(_line(each))
    if any(each.needed and not each.ok for each in found):
        raise Refused("something that a run needs is missing", code=1)


async def _traces(stack: AsyncExitStack) -> list[Diagnosis]:
    """Trace the checks as long as the stack is open; where that cannot be, say so and go on."""
    try:
        await stack.enter_async_context(tracing())
    except SettingsError as error:
        stack.enter_context(tracing_context(enabled=False))
        return [Diagnosis("traces", False, str(error))]
    return []


def _line(each: Diagnosis) -> str:
    if each.source:
        return f"setting  {each.name}: {each.detail} ({each.source})"
    mark = "ok     " if each.ok else "MISSING" if each.needed else "absent "
    mend = f" → {each.mend}" if each.mend and not each.ok else ""
    return f"{mark}  {each.name}: {each.detail}{mend}"


async def _examine(settings: Settings) -> AsyncIterator[Diagnosis]:
    yield await _checked("database", _database(settings))
    chosen = every_model(settings)
    checks = (_checked(_use(each), _model(settings, each)) for each in chosen)
    for found in await asyncio.gather(*checks):
        yield found
    yield _proposer(settings)
    try:
        reports = await survey(packages_of(settings))
    except SettingsError as error:
        yield Diagnosis("sandbox", False, str(error), "correct it, or unset it")
        return
    except Exception as error:
        yield _broken("sandbox", error)
        return
    for report in reports:
        yield Diagnosis(
            f"sandbox {report.name}", report.ok, report.reason, report.mend, needed=False
        )
    works = any(report.ok for report in reports)
    yield Diagnosis(
        "sandbox",
        works,
        "code is run in a sandbox" if works else "no sandbox works: code is not run, only read",
        "mend one of the backends above",
    )


async def _checked(name: str, check: Awaitable[Diagnosis]) -> Diagnosis:
    """Return what a check finds; one that breaks has found something, and ends no other."""
    try:
        return await check
    except Exception as error:
        return _broken(name, error)


def _broken(name: str, error: Exception) -> Diagnosis:
    """Return the finding of a check that failed in a way that it does not know: its kind alone."""
    return Diagnosis(name, False, f"the check failed: {type(error).__name__}")


async def _database(settings: Settings) -> Diagnosis:
    name = "Postgres" if settings.database_url else "embedded Postgres"
    try:
        async with open_for_reading(settings) as database, database.connection() as connection:
            row = await (await connection.execute("SHOW server_version")).fetchone()
            newer = await newer_schema(connection)
    except NoClusterError:
        detail = f"none yet in {settings.data_dir}"
        return Diagnosis(name, False, detail, "`make serve` makes it", needed=False)
    except SchemaError as error:
        return Diagnosis(name, False, str(error), "`make serve` does so too", needed=False)
    except (DatabaseError, EmbeddedPostgresError) as error:
        return Diagnosis(
            name, False, " ".join(str(error).split()), "check that setting and the server"
        )
    version = row["server_version"] if row else "unknown"
    schema = f"schema of a later version: {newer}" if newer else "schema up to date"
    return Diagnosis(name, True, f"version {version}, {schema}")


async def _model(settings: Settings, choice: ModelChoice) -> Diagnosis:
    """Ask a model for a word: a key that is set may still be refused."""
    try:
        async with open_model(settings, (choice,), _MODEL_SECONDS) as model:
            with traced("doctor", "check", {"model": choice.name}) as found:
                answer = await model.write("Answer with the word yes.", "Are you there?")
                found["model"] = answer.model
    except (SettingsError, RunError) as error:
        return Diagnosis(_use(choice), False, str(error), f"check {choice.setting} and its key")
    return Diagnosis(_use(choice), True, f"{choice.name} answers as {answer.model}")


def _use(choice: ModelChoice) -> str:
    if choice.fallback:
        return f"fall-back model {choice.name}"
    return {"agent": "model", "judge": "judge", "optimizer": "optimizer's model"}[choice.use]


def _proposer(settings: Settings) -> Diagnosis:
    """Look whether what is to propose prompts is installed."""
    name = settings.proposer
    try:
        require(name)
    except SettingsError:
        return Diagnosis("proposer", False, f"{name} is not installed", MENDS.get(name, ""))
    return Diagnosis("proposer", True, name)
