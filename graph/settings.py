"""The one reader of the environment."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Final, Literal

import platformdirs
from pydantic import AliasChoices, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from selfheal.app import setting_forms as forms
from selfheal.app.setting_forms import (
    Folder,
    Headers,
    HttpAddress,
    Key,
    ModelName,
    ModelNames,
    Name,
    Origins,
    PostgresAddress,
    PublicAddress,
    SigningSecrets,
    Word,
)
from selfheal.db.address import secrets_of

ProposerName = Literal["writer", "gepa"]

_PREFIX: Final = "SELFHEAL_"
# What Grafana's container reads (grafana/README.md): an environment that has it for compose.yaml is
# no mistake.
DASHBOARD_VARIABLES: Final = frozenset(
    {
        "SELFHEAL_GRAFANA_DATABASE",
        "SELFHEAL_GRAFANA_PASSWORD",
        "SELFHEAL_GRAFANA_POSTGRES",
        "SELFHEAL_GRAFANA_SSLMODE",
        "SELFHEAL_GRAFANA_USER",
        "SELFHEAL_PROMETHEUS_URL",
    }
)
_LONGEST_SHOWN: Final = 64


def _langsmith(name: str) -> AliasChoices:
    """Return the names that LangSmith's client looks for, the first one first."""
    return AliasChoices(f"LANGSMITH_{name}", f"LANGCHAIN_{name}")


class SettingsError(Exception):
    """A setting has a value that cannot be used; the message names it, in one line."""


class Settings(BaseSettings):
    """All settings, from the environment. Standard names where a library has them.

    Those of LangSmith, OpenTelemetry and Google's client are read by these, from the environment;
    here they are checked before that. docs/settings.md is made of what stands here.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    google_api_key: Key | None = Field(
        None,
        validation_alias="GOOGLE_API_KEY",
        description="Gemini's key, of the agent and, unless it has its own, of the judge",
    )
    google_gemini_base_url: HttpAddress | None = Field(
        None,
        validation_alias="GOOGLE_GEMINI_BASE_URL",
        description="another server that speaks Gemini's API, such as a proxy or the simulator",
    )
    model: ModelName = Field(
        "google_genai:gemini-3.8-flash",
        description="the agent's model; another provider needs its LangChain package and key",
    )
    fallback_models: ModelNames = Field(
        (), description="asked in this order where a model is retired or does not answer"
    )
    judge_model: ModelName | None = Field(
        None, description="the judge's model; unset, `SELFHEAL_MODEL`"
    )
    judge_api_key: Key | None = Field(
        None, description="the judge's own key; unset, its provider's usual variable"
    )
    optimizer_model: ModelName | None = Field(
        None, description="the model that diagnoses and writes prompts; unset, `SELFHEAL_MODEL`"
    )
    model_timeout_seconds: float = Field(
        120.0, ge=0.1, le=3600, description="for a model call as a whole, retries included"
    )

    database_url: PostgresAddress | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="your Postgres, 14 or later; unset, an embedded one. Characters such as `@ / %`"
        " in the password are percent-encoded; libpq's `KEY=VALUE` pairs are taken too, and its own"
        " variables (`PGPASSWORD` …) fill in what is left out",
    )
    direct_database_url: PostgresAddress | None = Field(
        None,
        description="the same database past a pooler such as PgBouncer, to listen and to migrate",
    )
    data_dir: Folder = Field(
        default_factory=lambda: platformdirs.user_data_path("selfheal"),
        description="where the embedded Postgres lives; unset, in the user's folder for data",
    )

    rule_weight: float = Field(
        0.4, ge=0, le=1, description="the share of the rules in a score; the rest is the judge's"
    )
    pass_threshold: float = Field(
        0.6, gt=0, le=1, description="the score at which a program passes"
    )
    sandbox: Literal["auto", "bwrap", "landlock", "wasm", "static"] = Field(
        "auto",
        description="where generated code runs; `auto` takes the first that passes its self-test,"
        " `static` runs none",
    )
    sandbox_packages: Folder | None = Field(
        None,
        description="packages for generated code beside the standard library: a folder filled by"
        " `pip install --target`, which programs can read and not write; not for `wasm`",
    )

    proposer: ProposerName = Field(
        "writer", description="what writes candidates; `gepa` needs `selfheal[gepa]`"
    )
    failure_threshold: int = Field(
        3, ge=1, le=10_000, description="failed runs of a version that start a healing"
    )
    failure_window_minutes: int = Field(
        30, ge=1, le=525_600, description="how far back failed runs count, in minutes"
    )
    optimize_every_seconds: int = Field(
        600, ge=0, le=604_800, description="how often the service looks for failures; 0 is never"
    )
    rollout: Literal["canary", "instant", "manual"] = Field(
        "canary",
        description="how a proven prompt is released: to a share of the threads first, to all at"
        " once, or when it is approved",
    )
    canary_percent: int = Field(50, ge=1, le=99, description="the share of threads in a canary")
    heal_budget_calls: int = Field(
        400, ge=1, le=1_000_000, description="model calls of one healing"
    )
    heal_daily_calls: int = Field(
        2000, ge=1, le=10_000_000, description="model calls of all healings in a day"
    )
    heal_concurrency: int = Field(4, ge=1, le=100, description="model calls of a healing at a time")

    worker_url: HttpAddress | None = Field(
        None, description="the worker's role; unset, this process does its work"
    )
    evaluator_url: HttpAddress | None = Field(
        None, description="the evaluator's role; unset, this process does its work"
    )
    role_key: Annotated[Key, Field(min_length=16)] | None = Field(
        None, description="what the roles know each other by"
    )
    bootstrap_key: Annotated[Key, Field(min_length=32)] | None = Field(
        None, description="the first admin key of a deployment; revoke it when there are others"
    )

    max_concurrency: int = Field(
        16, ge=1, le=1000, description="runs that a process executes at a time"
    )
    max_waiting: int = Field(
        1000, ge=1, le=1_000_000, description="runs that may wait; further ones are refused (429)"
    )
    rate_per_minute: int = Field(
        600, ge=0, le=1_000_000, description="requests a minute of one key; 0 is without a limit"
    )
    tenant_storage_mb: int = Field(
        10_240,
        ge=0,
        le=2**31,
        description="what a tenant may store, in MB; 0 is without a limit, more is refused (507)",
    )
    run_timeout_seconds: float = Field(
        300.0, ge=0.1, le=86_400, description="for a run as a whole, and for a call of a role"
    )
    lease_seconds: float = Field(
        10.0, ge=1, le=3600, description="after which the run of a silent process is taken over"
    )
    cors_origins: Origins = Field((), description="pages of other sites that may call the service")
    public_url: PublicAddress | None = Field(
        None, description="where browsers reach the service; for links in traces"
    )
    webhook_secret: SigningSecrets | None = Field(
        None, description="what webhooks are signed with; unset, there are none"
    )
    webhook_allow_private: bool = Field(
        False, description="webhooks may go to private networks, and without TLS"
    )
    retention_days: int = Field(
        90, ge=0, le=36_500, description="how long runs are kept; 0 is for ever"
    )
    state_retention_days: int = Field(
        7,
        ge=0,
        le=36_500,
        description="how long states, streamed events and webhooks are kept; 0 is for ever",
    )

    log_format: Annotated[Literal["auto", "json", "text"], BeforeValidator(forms.in_lower_case)] = (
        Field("auto", description="`auto` is text on a terminal, JSON elsewhere")
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(forms.in_lower_case)
    ] = Field("info", description="`debug` shows prompts, requests and code too")
    langsmith_tracing: Word = Field(
        "false", validation_alias=_langsmith("TRACING"), description="whether runs are traced"
    )
    langsmith_tracing_mode: Annotated[
        Literal["langsmith", "otel", "hybrid"], BeforeValidator(forms.in_lower_case)
    ] = Field(
        "langsmith",
        validation_alias=_langsmith("TRACING_MODE"),
        description="where traces go; `otel` and `hybrid` need `selfheal[otel]`",
    )
    langsmith_endpoint: HttpAddress | None = Field(
        None,
        validation_alias=_langsmith("ENDPOINT"),
        description="LangSmith's API; unset, that of its own cloud",
    )
    langsmith_api_key: Key | None = Field(
        None, validation_alias=_langsmith("API_KEY"), description="LangSmith's key"
    )
    langsmith_project: Name | None = Field(
        None, validation_alias=_langsmith("PROJECT"), description="the project; unset, `default`"
    )
    langsmith_hide_inputs: Word = Field(
        "false",
        validation_alias=_langsmith("HIDE_INPUTS"),
        description="leave out of traces what the model was asked",
    )
    langsmith_hide_outputs: Word = Field(
        "false",
        validation_alias=_langsmith("HIDE_OUTPUTS"),
        description="leave out of traces what it answered",
    )
    langsmith_tracing_sampling_rate: float = Field(
        1.0,
        ge=0,
        le=1,
        validation_alias=_langsmith("TRACING_SAMPLING_RATE"),
        description="the share of runs that is traced",
    )
    langsmith_tracing_queue_max_size: int = Field(
        200,
        ge=1,
        le=100_000,
        validation_alias=_langsmith("TRACING_QUEUE_MAX_SIZE"),
        description="parts of traces that may wait to be sent; further ones are dropped",
    )
    langsmith_use_daemon: Word = Field(
        "true",
        validation_alias=_langsmith("USE_DAEMON"),
        description="`false` lets a dead LangSmith hold up the exit",
    )
    otel_endpoint: HttpAddress | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="the collector, OTLP over HTTP; `/v1/traces` is added",
    )
    otel_headers: Headers | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_HEADERS",
        description="headers for the collector; unset, `LANGSMITH_API_KEY` as `x-api-key`",
    )
    otel_timeout: float = Field(
        5.0,
        ge=0.1,
        le=60,
        validation_alias="OTEL_EXPORTER_OTLP_TIMEOUT",
        description="seconds for one export to the collector",
    )
    otel_service_name: Name | None = Field(
        None,
        validation_alias="OTEL_SERVICE_NAME",
        description="what the collector calls us; unset, `langsmith`",
    )

    @property
    def webhook_keys(self) -> tuple[bytes, ...]:
        """What webhooks are signed with: each secret of a comma-separated list; empty if unset."""
        return forms.signing_keys(self.webhook_secret) if self.webhook_secret else ()

    @property
    def judges_by(self) -> str:
        """The judge's model."""
        return self.judge_model or self.model


def variables(name: str) -> tuple[str, ...]:
    """Return the environment variables of a field of Settings: its own first, then older names."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(each) for each in alias.choices)
    return (str(alias or f"{_PREFIX}{name.upper()}"),)


def known_variables() -> frozenset[str]:
    """Return every environment variable that is read, by us or by a library that we depend on."""
    return frozenset(each for name in Settings.model_fields for each in variables(name))


def secret_values() -> Iterator[str]:
    """Yield every secret in the environment that is ours, usable or not, and those inside one."""
    for name, field in Settings.model_fields.items():
        if not forms.is_secret(field):
            continue
        for value in filter(None, map(os.environ.get, variables(name))):
            yield value
            yield from secrets_of(value)
            for each in value.split(","):
                yield from (each.strip(), each.partition("=")[2].strip())


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a variable of our own prefix is none of ours, or a value cannot be used; the
            message names the variable, never its value.
    """
    _refuse_unknown()
    _refuse_undecodable()
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    # Raised out here, so that nothing leads back to pydantic's error, which holds the value.
    raise SettingsError(_complaint(str(first["loc"][0]), first["type"], first["msg"]))


def _refuse_unknown() -> None:
    """Refuse a misspelt setting: it would be left at its default, unnoticed."""
    known = {each.removeprefix(_PREFIX): each for each in known_variables()}
    for given in sorted(os.environ):
        name = given.upper()
        if name.startswith(_PREFIX) and name not in {*known.values(), *DASHBOARD_VARIABLES}:
            meant = name[:_LONGEST_SHOWN].removeprefix(_PREFIX)
            near = get_close_matches(meant, known, 1)
            guess = f"did you mean {known[near[0]]}? " if near else ""
            shown = ascii(given[:_LONGEST_SHOWN])[1:-1]
            raise SettingsError(
                f"{shown}: there is no such setting; {guess}docs/settings.md has them all"
            )


def _refuse_undecodable() -> None:
    """Refuse what is not text: each library would fail on it in its own way."""
    for name in sorted(known_variables() & os.environ.keys()):
        try:
            os.environ[name].encode()
        except UnicodeEncodeError:
            raise SettingsError(f"{name}: is not UTF-8") from None


def _complaint(location: str, kind: str, message: str) -> str:
    """Return what is wrong with the setting that pydantic names, by its field or a variable."""
    name = next(each for each in Settings.model_fields if location in (each, *variables(each)))
    given = next(filter(os.environ.get, variables(name)), variables(name)[0])
    ours = message.removeprefix("Value error, ") if kind == "value_error" else ""
    why = ours or f"must be {forms.words(Settings.model_fields[name])}".replace("`", "")
    return f"{given}: {why}"
