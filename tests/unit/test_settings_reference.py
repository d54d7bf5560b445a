"""What is written of the settings, anywhere in the repository, is what the code reads."""

import re
from collections.abc import Iterator
from pathlib import Path

from selfheal.db.settings import known_variables, variables
from selfheal.server.commands.settings_reference import (
    example,
    in_force,
    reference,
    taken_by_compose,
)
from selfheal.server.settings import DASHBOARD_VARIABLES, ServerSettings

_ROOT = Path(__file__).parents[2]
_OURS = re.compile(r"\bSELFHEAL_[A-Z_]*[A-Z]\b")
_TEXTS = {".md", ".py", ".yaml", ".yml", ".toml", ".env", ".sql", ".json", ".example", ""}
# Names that are wrong on purpose, or that only begin those of several settings.
_NOT_READ = {
    "CHANGELOG.md": {"SELFHEAL_ROLOUT"},
    "tests/support/manifest_mutations.py": {"SELFHEAL_MODLE"},
    "docs/settings.md": {"SELFHEAL_PORT"},
    "server/commands/settings_reference.py": {"SELFHEAL_PORT"},
}


def test_the_page_is_what_the_code_says() -> None:
    made = "python -m selfheal.server.commands.settings_reference > docs/settings.md"
    assert (_ROOT / "docs/settings.md").read_text(encoding="utf-8") == reference(), made


def test_the_example_is_what_the_code_says() -> None:
    made = "python -m selfheal.server.commands.settings_reference example > .env.example"
    assert (_ROOT / ".env.example").read_text(encoding="utf-8") == example(), made


def test_the_example_has_every_setting_and_sets_none() -> None:
    lines = example().splitlines()
    assert all(line.startswith("#") for line in lines if line)
    names = {match[1] for line in lines if (match := re.match(r"#([A-Z][A-Z0-9_]*)=", line))}
    assert {variables(ServerSettings, name)[0] for name in ServerSettings.model_fields} <= names


def test_every_setting_is_in_one_section() -> None:
    listed = [variable for variable, _, _ in in_force(ServerSettings())]
    assert sorted(listed) == sorted(
        variables(ServerSettings, n)[0] for n in ServerSettings.model_fields
    )


def test_every_setting_says_what_it_is() -> None:
    assert [
        name for name, field in ServerSettings.model_fields.items() if not field.description
    ] == []


def test_compose_takes_from_the_example_what_it_says() -> None:
    text = (_ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{([A-Z_]+)", text)) == taken_by_compose()


def test_the_variables_of_grafanas_container_are_the_dashboards() -> None:
    provisioned = (_ROOT / "grafana/provisioning").rglob("*.yaml")
    found = {name for file in provisioned for name in _OURS.findall(file.read_text())}
    assert found == DASHBOARD_VARIABLES


def test_no_file_names_a_setting_that_nothing_reads() -> None:
    known = known_variables(ServerSettings) | DASHBOARD_VARIABLES
    unread = {
        f"{place}: {name}"
        for place, text in _texts()
        for name in set(_OURS.findall(text)) - known - _NOT_READ.get(place, set())
        if place not in ("tests/unit/test_settings.py", "tests/unit/test_settings_reference.py")
    }
    assert unread == set()


def _texts() -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each file of the repository that a setting may be named in."""
    tops = [each for each in _ROOT.iterdir() if not each.name.startswith(".")]
    for top in (*tops, _ROOT / ".ci", _ROOT / ".env.example"):
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if file.is_file() and file.suffix in _TEXTS and "__pycache__" not in file.parts:
                yield str(file.relative_to(_ROOT)), file.read_text(encoding="utf-8")
