"""The demo on a terminal: progress while it runs, the result at the end."""

from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from selfheal.optimizer.records.candidates import GateReport
from selfheal.optimizer.state import State
from selfheal.optimizer.wording import sentence
from selfheal.server.cli.output import plain
from selfheal.server.demo.measure import DemoRun, PhaseResult
from selfheal.server.demo.play import DemoResult

_PHASES = {
    "before": "before: the broken prompt",
    "after": "after: the same requests again",
    "unseen": "unseen: new requests",
}
_STATES = {
    "detect": "detected failed runs",
    "triage": "excluded failures that no prompt caused",
    "sample": "split the cases (training, held-out, regression)",
    "diagnose": "diagnosed",
    "propose": "proposed candidates",
    "lint": "applied the guardrails",
    "screen": "screened them on training cases",
    "edits": "removed what no failing case needs",
    "gate": "tested the best one on held-out cases",
    "collect": "tried the live prompt on the training cases",
    "release": "released",
    "conclude": "wrote the receipt",
}


class ConsoleProgress:
    """Shows progress on a console: bars on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "ConsoleProgress":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def phase(self, title: str, total: int) -> Callable[[DemoRun], None]:
        """Begin a phase of `total` runs; return what to call after each run."""
        description = _PHASES[title]
        task = self._progress.add_task(description, total=total)
        if not self._console.is_terminal:
            self._console.print(f"{description} ({total} runs)")
        return lambda _: self._progress.advance(task)

    def state(self, name: str, updates: State) -> None:
        """Print a state of the healing that has ended."""
        detail = _detail(name, updates)
        self._console.print(
            f"  healing: {_STATES.get(name, name)}{detail}", markup=False, emoji=False
        )


def _detail(name: str, updates: State) -> str:
    if updates.get("outcome"):
        return f": {updates['outcome']} ({sentence(updates['reason'])})"
    if name == "sample":
        split = updates["split"]
        sides = (split["train"], split["hold_out"], split["regression"])
        return ": " + " + ".join(str(len(each)) for each in sides)
    if name == "gate":
        return f": {sentence(updates['gates'][-1]['reason'])}"
    return ""


def show(console: Console, result: DemoResult) -> None:
    """Print the result: figures before, the healing, figures after."""
    if result.simulated:
        console.print(
            "\n[bold yellow]SIMULATED:[/] these figures come from a simulated model. They show that"
            " the loop works and say nothing about Gemini."
        )
    console.print(f"\n[bold]model[/]  {escape(result.model)}")
    _show_action(console, result)
    console.print(_figures(result))
    for line in failing_runs(result):
        console.print(line, markup=False, highlight=False, emoji=False)
    if result.improvement_percent is not None:
        console.print(f"\naverage score: [bold]+{result.improvement_percent:g} %[/]")


def failing_runs(result: DemoResult) -> list[str]:
    """Return, for each phase with one, why a failing run failed."""
    return [
        f"{name}: a failing run ended with {run.outcome}: {run.message or 'no reason given'}"
        for name, measured in result.phases
        if (run := measured.failing)
    ]


def _show_action(console: Console, result: DemoResult) -> None:
    record = result.receipt
    console.print(f"[bold]action[/] {result.healing['outcome']}: {escape(_reason(result))}")
    if record is None:
        return
    console.print(f"\n{len(record['failed_run_ids'])} failed runs triggered it. Root causes:")
    for cause in record["findings"]["root_causes"] if record["findings"] else []:
        console.print(plain(f"  - {cause}"), markup=False, highlight=False, emoji=False)
    for each in record["candidates"]:
        if each["fate"] == "accepted":
            console.print("\nThe prompt that was released:\n")
            for line in each["diff"].splitlines():
                console.print(
                    plain(f"  {line}"),
                    style=_colour(line),
                    markup=False,
                    highlight=False,
                    emoji=False,
                )
    for gate in record["gates"]:
        console.print(f"\nEvidence on held-out cases: {_evidence(gate)}")
    console.print(
        f"\n{record['model_calls']} model calls, {record['seconds']} s,"
        f" version {record['from_version']} → {record['to_version'] or 'unchanged'}\n"
    )


def _reason(result: DemoResult) -> str:
    return sentence(result.healing.get("reason"))


def _evidence(gate: GateReport) -> str:
    return (
        f"{gate['gains']} cases gained, {gate['losses']} lost, e-value {gate['e_value']:g}"
        f" (accepted from {gate['needed']:g}); of {gate['pairs']} pairs the old prompt passed"
        f" {gate['incumbent_rate']:.0%}, the new one {gate['candidate_rate']:.0%}"
    )


def _colour(line: str) -> str:
    return {"+": "green", "-": "red"}.get(line[:1], "dim")


def _figures(result: DemoResult) -> Table:
    columns = ("", "runs", "passed", "pass rate", "average score")
    table = Table(*columns, box=None, header_style="bold")
    for name, measured in result.phases:
        table.add_row(name, *_cells(measured))
    return table


def _cells(measured: PhaseResult) -> tuple[str, ...]:
    rate, score = f"{measured.pass_rate:.0%}", f"{measured.average_score:.3f}"
    return str(len(measured.runs)), str(measured.passed), rate, score
