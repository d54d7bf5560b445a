"""Links, paths, targets and folders that the documentation names exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PRODUCT = ("app", "db", "graph", "optimizer", "server", "simulator", "grafana", "bench", "deploy")
PAGES = sorted(
    page
    for glob in ("*.md", "docs/**/*.md", ".github/**/*.md", "*/README.md")
    for page in ROOT.glob(glob)
    if not page.parts[len(ROOT.parts)].startswith(".venv")
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_PATH = re.compile(rf"`((?:{'|'.join(PRODUCT)}|docs|tests|\.ci|\.github)/[\w./-]*)`")


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_relative_links_lead_to_files_and_headings(page: Path) -> None:
    wrong = []
    for link in (first or second for first, second in _LINK.findall(_prose(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_paths_that_are_named_exist(page: Path) -> None:
    named = {path.rstrip("/") for path in _PATH.findall(_prose(page))}
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def _folders() -> Iterator[str]:
    for room in PRODUCT:
        for folder in [ROOT / room, *(ROOT / room).rglob("*/")]:
            if (folder / "__init__.py").exists():
                yield _name(folder)


def test_the_architecture_names_every_folder_of_code() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    folders = list(_folders())
    assert len(folders) > 30
    lacking = [folder for folder in folders if f"`{folder}/`" not in text]
    subjects = [folder for folder in lacking if f"`{folder.rpartition('/')[2]}/`" not in text]
    assert subjects == []


def test_decision_records_are_short_and_listed() -> None:
    records = sorted((ROOT / "docs/adr").glob("0*.md"))
    index = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((0[\w-]+\.md)\)", index) == [record.name for record in records]
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 60, record.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
            *("Context", "Decision", "Consequences", "Alternatives")
        ]


def test_workflows_and_hooks_run_what_exists() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    jobs = workflow["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    commands += [f"make {target}" for target in jobs["weekly"]["strategy"]["matrix"]["target"]]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {found for command in commands for found in re.findall(r"make ([\w./-]+)", command)}
    assert {"lint", "test", "chaos"} <= targets
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []
    versions = jobs["postgres"]["strategy"]["matrix"]["postgres"]
    assert versions == [str(number) for number in range(14, 19)]
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {each["repo"] for each in hooks["repos"]} == {"local"}
