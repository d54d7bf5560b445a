"""`selfheal runs …`: the run log."""

from dataclasses import asdict
from uuid import UUID

import click

from selfheal.db import runs as log
from selfheal.db.runs import Outcome
from selfheal.server.cli.output import plain, print_json, print_table
from selfheal.server.commands.runtime import opened_database, run_async, say_if_empty


@run_async
async def list_(limit: int, outcome: Outcome | None, as_json: bool) -> None:
    """List the newest runs."""
    async with opened_database(reading=True) as database, database.connection() as connection:
        rows = await log.recent(connection, limit=limit, outcome=outcome)
        await say_if_empty(rows, database)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("run", "created", "status", "outcome", "score", "worker", "request", "message"),
        [
            (
                row.id,
                f"{row.created_at:%m-%d %H:%M:%S}",
                row.status,
                row.outcome,
                row.evaluation["score"] if row.evaluation else None,
                row.worker_version,
                row.request[:60],
                row.message or None,
            )
            for row in rows
        ],
    )


@run_async
async def show(run_id: UUID, as_json: bool) -> None:
    """Show one run: request, code, verdict with its reasons, and feedback."""
    async with opened_database(reading=True) as database, database.connection() as connection:
        row = await log.get(connection, run_id)
        feedback = await log.feedback(connection, run_id)
    if as_json:
        print_json({**asdict(row), "feedback": [asdict(each) for each in feedback]})
        return
    if row.unusable:
        click.echo(f"unusable the {row.unusable}'s model answered in a form that cannot be used")
    versions = f"{row.manager_version} {row.worker_version} {row.evaluator_version}"
    click.echo(plain(f"run      {row.id}  {row.status}  {row.outcome or ''}  {row.message}"))
    click.echo(f"model    {row.model}  prompts (manager worker evaluator) {versions}")
    click.echo(plain(f"request  {row.request}"))
    if row.code:
        click.echo(plain(f"\n{row.code}"))
    if row.evaluation:
        _show_evaluation(row.evaluation)
    for each in feedback:
        comment = f"  {each.comment}" if each.comment else ""
        click.echo(plain(f"feedback {each.created_at:%m-%d %H:%M:%S}  {each.score:g}{comment}"))


def _show_evaluation(evaluation: dict[str, object]) -> None:
    click.echo(
        f"score {evaluation['score']}  rules {evaluation['rule_score']}"
        f"  judge {evaluation['llm_score']}  passed {evaluation['passed']}"
    )
    checks = evaluation["checks"]
    assert isinstance(checks, list)  # noqa: S101 - as the run log stores it
    print_table(
        ("check", "score", "weight", "detail"),
        [(each["name"], each["score"], each["weight"], each["detail"]) for each in checks],
    )
    reasons = evaluation["reasons"]
    assert isinstance(reasons, list)  # noqa: S101 - as the run log stores it
    for reason in reasons:
        click.echo(plain(f"- {reason}"))
