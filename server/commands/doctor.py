"""`selfheal doctor`: what is configured, reachable and missing, each with its mend."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import click

from db.embedded import EmbeddedPostgresError, NoClusterError
from db.errors import DatabaseError, SchemaError
from graph.context import require_model
from graph.data import open_for_reading
from graph.errors import RunError
from graph.model import Model
from graph.sandbox.select import survey
from graph.settings import Settings, SettingsError
from optimizer.proposers.chosen import MENDS, require
from server.commands.failures import Refused
from server.commands.opened import run_async
from server.commands.shown import as_json, print_json
from server.model_address import read_settings_beside_service


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at. What is not `needed` may be missing."""

    name: str
    ok: bool
    detail: str
    mend: str = ""
    needed: bool = True


@click.command()
@as_json
@run_async
async def doctor(as_json: bool) -> None:
    """Look at everything that a run needs, and say how to mend what is missing."""
    found = [each async for each in _examine(read_settings_beside_service())]
    if as_json:
        print_json(found)
    else:
        for each in found:
            click.echo(_line(each))
    if any(each.needed and not each.ok for each in found):
        raise Refused("something that a run needs is missing", code=1)


def _line(each: Diagnosis) -> str:
    mark = "ok     " if each.ok else "MISSING" if each.needed else "absent "
    mend = f" → {each.mend}" if each.mend and not each.ok else ""
    return f"{mark}  {each.name}: {each.detail}{mend}"


async def _examine(settings: Settings) -> AsyncIterator[Diagnosis]:
    yield await _database(settings)
    yield await _model(settings)
    yield _proposer(settings)
    reports = await survey()
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


async def _database(settings: Settings) -> Diagnosis:
    name = "Postgres" if settings.database_url else "embedded Postgres"
    try:
        async with open_for_reading(settings) as database, database.connection() as connection:
            row = await (await connection.execute("SHOW server_version")).fetchone()
    except NoClusterError:
        detail = f"none yet in {settings.data_dir}"
        return Diagnosis(name, False, detail, "`make serve` makes it", needed=False)
    except SchemaError as error:
        return Diagnosis(name, False, str(error), "`make serve` does so too", needed=False)
    except (DatabaseError, EmbeddedPostgresError) as error:
        return Diagnosis(name, False, " ".join(str(error).split()), "check DATABASE_URL")
    version = row["server_version"] if row else "unknown"
    return Diagnosis(name, True, f"version {version}, schema up to date")


async def _model(settings: Settings) -> Diagnosis:
    """Ask the model for a word: a key that is set may still be refused."""
    try:
        require_model(settings)
        async with contextlib.aclosing(Model((settings.model,), timeout=20)) as model:
            answer = await model.write("Answer with the word yes.", "Are you there?")
    except (SettingsError, RunError) as error:
        return Diagnosis("model", False, str(error), "check SELFHEAL_MODEL and the key")
    return Diagnosis("model", True, f"{settings.model} answers as {answer.model}")


def _proposer(settings: Settings) -> Diagnosis:
    """Look whether what is to propose prompts is installed."""
    name = settings.proposer
    try:
        require(name)
    except SettingsError:
        return Diagnosis("proposer", False, f"{name} is not installed", MENDS.get(name, ""))
    return Diagnosis("proposer", True, name)
