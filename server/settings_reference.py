"""The settings for readers, generated from the code: docs/settings.md, .env.example, `doctor`.

`python -m selfheal.server.settings_reference [page|example]` prints the first or the second.
"""

import sys
from collections.abc import Iterable, Iterator
from inspect import get_annotations
from typing import Any, Final

from pydantic.fields import FieldInfo

from selfheal.app.settings import ModelSettings, ServiceSettings
from selfheal.db.address import shown_address
from selfheal.db.setting_types import description, is_address, is_secret
from selfheal.db.settings import DatabaseSettings, Settings, variables
from selfheal.graph.settings import AgentSettings, RoleSettings
from selfheal.optimizer.settings import HealingSettings
from selfheal.server.settings import DASHBOARD_VARIABLES, LogSettings, ServerSettings

# The classes whose own fields make up each section.
_SECTIONS: Final[dict[str, tuple[type[Settings], ...]]] = {
    "Models": (ModelSettings,),
    "Database": (DatabaseSettings,),
    "Verdict": (AgentSettings,),
    "Healing": (HealingSettings,),
    "Roles": (RoleSettings,),
    "Serving": (ServerSettings, ServiceSettings),
    "Logs and traces": (LogSettings,),
}
# Variables that compose.yaml takes from `.env` and that are no settings.
_CONTAINERS: Final = {
    "POSTGRES_PASSWORD": "of the Postgres that compose.yaml starts",
    "GRAFANA_ADMIN_PASSWORD": "of Grafana's user admin",
    "SELFHEAL_GRAFANA_PASSWORD": "of the role with which Grafana reads Postgres",
}
_IN_COMPOSE: Final = (
    "GOOGLE_API_KEY",
    "SELFHEAL_JUDGE_API_KEY",
    "SELFHEAL_ROLE_KEY",
    "SELFHEAL_BOOTSTRAP_KEY",
    "SELFHEAL_WEBHOOK_SECRET",
)
_HEAD: Final = """# Settings

Generated from the code by `python -m selfheal.server.settings_reference`. All settings are
environment variables; an empty one is unset. Every command that reads them refuses an unknown
`SELFHEAL_…` variable, and a value of another type or out of bounds, in one line that names the
variable but not its value, with exit code 2. `selfheal doctor` shows those in force.

A **secret** is never shown: in no command's output, log, trace or error. Of a database's address
host, port and database are shown. In Kubernetes a Service named `selfheal` sets variables such as
`SELFHEAL_PORT` in every pod of its namespace unless the pod has `enableServiceLinks: false`.
"""
_TAIL: Final = """## Read by other programs

A provider other than Gemini reads a key of its own, such as `OPENAI_API_KEY`. Grafana's container
reads [its own variables](../grafana/README.md#provisioning), which commands ignore:
{dashboards}.
compose.yaml takes only these settings from `.env`: {settings};
and for its containers {containers}.
"""
_EXAMPLE: Final = """\
# All settings with their defaults, from `python -m selfheal.server.settings_reference example`;
# docs/settings.md explains them. A copy named .env sets nothing until a line loses its #.
#   In a shell:   set -a; . ./.env; set +a
#   compose.yaml: takes from .env only {settings}
#                 and the passwords at the end.
"""


def reference() -> str:
    """Return docs/settings.md."""
    tail = _TAIL.format(
        dashboards=_listed(sorted(DASHBOARD_VARIABLES)),
        settings=_listed(_IN_COMPOSE),
        containers=_listed(_CONTAINERS),
    )
    return "\n".join((_HEAD, *_tables(), tail))


def example() -> str:
    """Return .env.example, in which every line is a comment."""
    return "\n".join((_EXAMPLE.format(settings=", ".join(_IN_COMPOSE)), *_assignments()))


def taken_by_compose() -> set[str]:
    """Return the variables that compose.yaml takes from .env, according to the documents."""
    return {*_IN_COMPOSE, *_CONTAINERS}


def in_force(settings: ServerSettings) -> Iterator[tuple[str, str, str]]:
    """Yield each setting's variable, its value in a form that may be shown, and its source."""
    for _, name, field in _fields():
        source = "environment" if name in settings.model_fields_set else "default"
        yield _variable(name), _shown(getattr(settings, name), field), source


def _shown(value: Any, field: FieldInfo) -> str:
    """Return a value as it is written in the environment; of a secret, only whether it is set."""
    if value in (None, ()):
        return "unset"
    if is_secret(field):
        return shown_address(value.get_secret_value()) if is_address(field) else "set"
    return _written(value)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _default(field: FieldInfo) -> str:
    """Return a default as it is written in the environment; empty if unset or computed."""
    unset = field.default_factory is not None or field.default in (None, ())
    return "" if unset else _written(field.default)


def _fields() -> Iterator[tuple[str | None, str, FieldInfo]]:
    """Yield all fields by section: the heading before a section's first field, name and field."""
    for heading, classes in _SECTIONS.items():
        names = (name for each in classes for name in get_annotations(each))
        own = [name for name in names if name in ServerSettings.model_fields]
        for name in own:
            yield heading if name == own[0] else None, name, ServerSettings.model_fields[name]


def _variable(name: str) -> str:
    return variables(ServerSettings, name)[0]


def _tables() -> Iterator[str]:
    for heading, name, field in _fields():
        if heading:
            yield f"\n## {heading}\n\n| setting | must be | default | meaning |\n|---|---|---|---|"
        default = f"`{_default(field)}`" if _default(field) else "unset"
        secret = "**secret**, " if is_secret(field) else ""
        accepted = f"{secret}{description(field)}"
        yield f"| `{_variable(name)}` | {accepted} | {default} | {field.description} |"
    yield ""


def _assignments() -> Iterator[str]:
    for heading, name, field in _fields():
        if heading:
            yield f"\n# --- {heading}"
        meaning = f"\n# {field.description}\n# must be {description(field)}".replace("`", "")
        yield f"{meaning}\n#{_variable(name)}={_default(field)}"
    yield "\n# --- The containers of compose.yaml"
    for variable, meaning in _CONTAINERS.items():
        yield f"\n# the password {meaning}\n#{variable}="
    yield ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in names)


if __name__ == "__main__":
    generate = {"page": reference, "example": example}[sys.argv[1] if sys.argv[1:] else "page"]
    print(generate(), end="")  # noqa: T201 - standard output is redirected to the file
