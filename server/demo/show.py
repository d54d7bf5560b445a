"""The demo on a terminal: progress while it lasts, the story at the end."""

from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from selfheal.optimizer.state import GateReport, State
from selfheal.optimizer.wording import sentence
from selfheal.server.commands.output import plain
from selfheal.server.demo.measure import Answered, Measured
from selfheal.server.demo.play import Story

_PHASES = {
    "before": "before: the broken prompt",
    "after": "after: the same requests again",
    "unseen": "unseen: requests that nobody has seen before",
}
_STATES = {
    "detect": "looked at the failed runs",
    "triage": "counted out what is not the prompt's",
    "sample": "divided the cases: train, hold-out, regression",
    "diagnose": "diagnosed",
    "propose": "wrote candidates",
    "lint": "checked their form",
    "screen": "tried them on train cases",
    "gate": "proved the survivor on unseen work",
    "release": "released",
    "conclude": "wrote the receipt",
}


class Screen:
    """Tells on a console: bars on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "Screen":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def phase(self, title: str, total: int) -> Callable[[Answered], None]:
        """Begin a phase of so many runs; return what is told of each."""
        words = _PHASES[title]
        task = self._progress.add_task(words, total=total)
        if not self._console.is_terminal:
            self._console.print(f"{words} ({total} runs)")
        return lambda _: self._progress.advance(task)

    def state(self, name: str, found: State) -> None:
        """Take notice of a state of the healing that has ended."""
        detail = _detail(name, found)
        self._console.print(
            f"  healing: {_STATES.get(name, name)}{detail}", markup=False, emoji=False
        )


def _detail(name: str, found: State) -> str:
    if found.get("outcome"):
        return f": {found['outcome']} ({sentence(found['reason'])})"
    if name == "sample":
        split = found["split"]
        sides = (split["train"], split["hold_out"], split["regression"])
        return ": " + " + ".join(str(len(each)) for each in sides)
    if name == "gate":
        return f": {sentence(found['gates'][-1]['reason'])}"
    return ""


def show(console: Console, story: Story) -> None:
    """Print what was seen: before, action, after."""
    if story.simulated:
        console.print(
            "\n[bold yellow]SIMULATED:[/] a stand-in played the model. The figures show that the"
            " loop works; they are no claim about Gemini."
        )
    console.print(f"\n[bold]model[/]  {escape(story.model)}")
    _show_action(console, story)
    console.print(_figures(story))
    for line in failing_runs(story):
        console.print(line, markup=False, highlight=False, emoji=False)
    if story.improvement_percent is not None:
        console.print(f"\naverage score: [bold]+{story.improvement_percent:g} %[/]")


def failing_runs(story: Story) -> list[str]:
    """Say of each phase why one of its failing runs failed."""
    return [
        f"{name}: a failing run ended with {run.outcome}: {run.message or 'no reason given'}"
        for name, measured in story.phases
        if (run := measured.failing)
    ]


def _show_action(console: Console, story: Story) -> None:
    record = story.receipt
    console.print(f"[bold]action[/] {story.healing['outcome']}: {escape(_reason(story))}")
    if record is None:
        return
    console.print(f"\n{len(record['failed_run_ids'])} failed runs set it off. Root causes:")
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
        console.print(f"\nEvidence, on work that neither prompt was made for: {_evidence(gate)}")
    console.print(
        f"\n{record['model_calls']} model calls, {record['seconds']} s,"
        f" version {record['from_version']} → {record['to_version'] or 'unchanged'}\n"
    )


def _reason(story: Story) -> str:
    return sentence(story.healing.get("reason"))


def _evidence(gate: GateReport) -> str:
    return (
        f"{gate['gains']} cases gained, {gate['losses']} lost, e-value {gate['e_value']:g}"
        f" (100 accepts); over {gate['pairs']} pairs the old prompt passed"
        f" {gate['incumbent_rate']:.0%}, the new one {gate['candidate_rate']:.0%}"
    )


def _colour(line: str) -> str:
    return {"+": "green", "-": "red"}.get(line[:1], "dim")


def _figures(story: Story) -> Table:
    columns = ("", "runs", "passed", "pass rate", "average score")
    table = Table(*columns, box=None, header_style="bold")
    for name, measured in story.phases:
        table.add_row(name, *_cells(measured))
    return table


def _cells(measured: Measured) -> tuple[str, ...]:
    rate, score = f"{measured.pass_rate:.0%}", f"{measured.average_score:.3f}"
    return str(len(measured.runs)), str(measured.passed), rate, score
