"""`selfheal healings …`: receipts of healings, approvals, pause and resume."""

import click

from selfheal.server.cli.deferred import implemented_by
from selfheal.server.cli.options import as_json, healing_id, limit, note


@click.group()
def healings() -> None:
    """Inspect, approve, reject, pause and resume healings."""


@healings.command("list")
@limit
@as_json
@implemented_by("healings:list_")
def list_() -> None:
    """List the newest healings."""


@healings.command()
@healing_id
@as_json
@click.option("--markdown", is_flag=True, help="Print the receipt as Markdown (the default).")
@click.option(
    "--replay",
    is_flag=True,
    help="Verify: recompute every decision from the stored trials; exit code 1 if one differs.",
)
@implemented_by("healings:show")
def show() -> None:
    """Show the receipt of a healing, or verify it with --replay."""


@healings.command()
@healing_id
@click.option("--at-once", is_flag=True, help="Release to all threads, without a canary.")
@note
@implemented_by("healing_actions:approve")
def approve() -> None:
    """Release a candidate that waits for approval.

    It is released as a canary if SELFHEAL_ROLLOUT is `canary`, otherwise to all threads. A canary
    that is held is promoted to all threads.
    """


@healings.command()
@healing_id
@implemented_by("healing_actions:reject")
def reject() -> None:
    """Reject a candidate that waits for approval, or a canary that is held.

    Its version is kept but not live.
    """


@healings.command()
@click.option("--reason", default="manual", show_default=True, help="Recorded with the action.")
@implemented_by("healing_actions:pause")
def pause() -> None:
    """Pause healing. Canary and watch continue, including automatic rollback."""


@healings.command()
@click.option("--reason", default="manual", show_default=True, help="Recorded with the action.")
@implemented_by("healing_actions:resume")
def resume() -> None:
    """Resume healing."""
