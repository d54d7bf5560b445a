"""`selfheal golden list|check|lift`: golden requests and verdicts, and the judge's agreement."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

import click
from rich.progress import Progress

from selfheal.app.llm.models import require_judge
from selfheal.db import golden_requests as store
from selfheal.db import prompts
from selfheal.db.bootstrap import open_migrated
from selfheal.graph.evaluator import open_evaluator
from selfheal.graph.prompts import first_prompts
from selfheal.optimizer.dataset.cases import golden_requests
from selfheal.optimizer.dataset.golden_verdicts import (
    Agreement,
    Opinion,
    agreement,
    ask_judge,
    first_error,
    golden_verdicts,
    traced_check,
)
from selfheal.optimizer.evaluation import judge_drift
from selfheal.optimizer.outcomes import distrust
from selfheal.optimizer.wording import sentence, worded
from selfheal.server.cli.output import plain, print_json, print_table
from selfheal.server.commands.errors import CommandError
from selfheal.server.commands.runtime import opened_database, run_async
from selfheal.server.model_address import read_settings_beside_service
from selfheal.server.observability.langsmith import tracing
from selfheal.server.settings import read_settings


@run_async
async def list_(as_json: bool) -> None:
    """List golden requests and verdicts: the operator's own and the built-in ones."""
    async with opened_database(reading=True) as database, database.connection() as connection:
        own = await store.list_all(connection)
    rows: list[tuple[str, str, object, str]] = [
        ("your request", each.id, len(each.examples), each.request) for each in own
    ]
    rows += [
        ("request", each["id"].removeprefix("golden:"), len(each["examples"]), each["request"])
        for each in golden_requests()
    ]
    rows += [
        (f"verdict: {each.kind}", each.id, round(each.mark, 2), each.work.request)
        for each in golden_verdicts()
    ]
    if as_json:
        names = ("kind", "id", "examples_or_mark", "request")
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        shown = [(kind, id_, mark, f"{text[:60]}…") for kind, id_, mark, text in rows]
        print_table(("kind", "id", "examples / mark", "request"), shown)


@run_async
async def check(as_json: bool) -> None:
    """Have the judge score all golden verdicts, record and report its agreement.

    Raises:
        CommandError: exit code 1 if the judge answered none.
    """
    settings = read_settings_beside_service()
    require_judge(settings)
    opening = open_migrated(settings, first_prompts(), create=False)
    async with tracing(), opening as database, open_evaluator(settings) as evaluator:
        async with database.connection() as connection:
            prompt = await prompts.released(connection, "evaluator")
        with (
            Progress(transient=True, disable=as_json) as progress,
            traced_check(settings.judge_model_name, prompt.version) as outputs,
        ):
            task = progress.add_task("asking the judge", total=len(golden_verdicts()))
            opinions = await ask_judge(
                evaluator.model,
                prompt.text,
                golden_verdicts(),
                settings.heal_concurrency,
                lambda _: progress.advance(task),
            )
            whole = agreement(opinions)
            outputs.update(asdict(whole))
        if not whole.asked:
            raise CommandError(f"the judge gave no usable answer: {first_error(opinions)}", code=1)
        finding = await judge_drift.record(
            database, settings.judge_model_name, prompt.version, judge_drift.parts_of(opinions)
        )
    report = _report(settings.judge_model_name, prompt.version, opinions)
    report["anchor"], report["flagged"] = finding["usual"], finding["flag"] is not None
    report.update(worded(distrust(finding) if finding["flag"] else None))
    if as_json:
        print_json(report)
    else:
        _show(report)


@run_async
async def lift(reason: str) -> None:
    """Lift the judge's flag.

    Raises:
        CommandError: exit code 2 if none stands.
    """
    model = read_settings().judge_model_name
    async with opened_database() as database:
        lifted = await database.run(
            lambda connection: judge_drift.lift(connection, model, actor="cli", reason=reason)
        )
    click.echo(
        f"the flag of the judge {model} (evaluator prompt {lifted.prompt_version}) is lifted; its"
        " next checks are what it is compared with"
    )


def _report(judge: str, version: int, opinions: Sequence[Opinion]) -> dict[str, Any]:
    whole = agreement(opinions)
    by_kind = sorted(opinions, key=lambda each: each.golden.kind)
    return {
        "judge": judge,
        "answered_by": sorted({each.model for each in opinions if each.model}),
        "prompt_version": version,
        **_row(whole),
        "first_error": first_error(opinions),
        "kinds": {
            kind: _row(agreement(list(each)))
            for kind, each in groupby(by_kind, key=lambda each: each.golden.kind)
        },
        "disagreements": [
            {"id": each.golden.id, "mark": round(each.golden.mark, 3), "score": each.score}
            for each in opinions
            if not each.agrees
        ],
    }


def _row(found: Agreement) -> dict[str, Any]:
    low, high = found.interval
    return {
        "asked": found.asked,
        "agreed": found.agreed,
        "unanswered": found.unanswered,
        "agreement": round(found.share, 4),
        "interval": [round(low, 4), round(high, 4)],
        "kindness": round(found.bias, 4),
    }


def _show(report: dict[str, Any]) -> None:
    answered_by = ", ".join(report["answered_by"])
    click.echo(
        plain(
            f"{report['judge']}, answered by {answered_by}, with version"
            f" {report['prompt_version']} of the evaluator's prompt:"
        )
    )
    rows = [*report["kinds"].items(), ("all", report)]
    print_table(
        ("kind", "asked", "agreed", "agreement", "95 % interval", "bias"),
        [
            (
                kind,
                row["asked"],
                row["agreed"],
                f"{row['agreement']:.0%}",
                "{:.0%} to {:.0%}".format(*row["interval"]),
                f"{row['kindness']:+.2f}",
            )
            for kind, row in rows
        ],
    )
    if report["anchor"]:
        click.echo("its first sound checks: {} of {}".format(*report["anchor"]))
    if report["flagged"]:
        click.echo(
            plain(
                f"{sentence(report['coded_reason'])}. Healing is frozen; `selfheal golden lift`"
                " accepts the judge."
            )
        )
    if report["unanswered"]:
        click.echo(plain(f"{report['unanswered']} had no answer: {report['first_error']}"))
