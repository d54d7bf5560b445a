"""Settings of the service: its own, and all settings together as they are read."""

from typing import Annotated, Final, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from selfheal.db import settings as environment
from selfheal.db.setting_types import (
    Command,
    Folder,
    Headers,
    HttpAddress,
    Key,
    Name,
    Origins,
    SigningSecrets,
    TrueOrFalse,
    WebhookAddress,
    in_lower_case,
    signing_keys,
)
from selfheal.db.settings import Settings
from selfheal.graph.settings import AgentSettings
from selfheal.optimizer.settings import HealingSettings

# Read by Grafana's container (grafana/README.md), so that a shared environment is not refused.
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


def _langsmith(name: str) -> AliasChoices:
    """Return the variables that LangSmith's client reads, in its order."""
    return AliasChoices(f"LANGSMITH_{name}", f"LANGCHAIN_{name}")


class LogSettings(Settings):
    """Logs and traces.

    LangSmith, OpenTelemetry and Google's client read their variables from the environment
    themselves; they are checked here first.
    """

    log_format: Annotated[Literal["auto", "json", "text"], BeforeValidator(in_lower_case)] = Field(
        "auto", description="`auto` is text on a terminal, JSON elsewhere"
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(in_lower_case)
    ] = Field(
        "info",
        description="lowest level that is logged; `debug` includes prompts, requests and code",
    )
    langsmith_tracing: TrueOrFalse = Field(
        "false", validation_alias=_langsmith("TRACING"), description="whether runs are traced"
    )
    langsmith_tracing_mode: Annotated[
        Literal["langsmith", "otel", "hybrid"], BeforeValidator(in_lower_case)
    ] = Field(
        "langsmith",
        validation_alias=_langsmith("TRACING_MODE"),
        description="where traces go; `otel` and `hybrid` need `selfheal[otel]`",
    )
    langsmith_endpoint: HttpAddress | None = Field(
        None,
        validation_alias=_langsmith("ENDPOINT"),
        description="LangSmith's API; unset, LangSmith's cloud",
    )
    langsmith_api_key: Key | None = Field(
        None, validation_alias=_langsmith("API_KEY"), description="LangSmith's key"
    )
    langsmith_project: Name | None = Field(
        None,
        validation_alias=_langsmith("PROJECT"),
        description="the project in LangSmith; unset, `default`",
    )
    langsmith_hide_inputs: TrueOrFalse = Field(
        "false",
        validation_alias=_langsmith("HIDE_INPUTS"),
        description="omit the inputs of model calls from traces",
    )
    langsmith_hide_outputs: TrueOrFalse = Field(
        "false",
        validation_alias=_langsmith("HIDE_OUTPUTS"),
        description="omit the outputs of model calls from traces",
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
    langsmith_use_daemon: TrueOrFalse = Field(
        "true",
        validation_alias=_langsmith("USE_DAEMON"),
        description="`false` lets an unreachable LangSmith delay the exit",
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
        description="the service's name at the collector; unset, `langsmith`",
    )


class ServerSettings(LogSettings, HealingSettings, AgentSettings):
    """All settings: those of the service, and those of every package that it is made of."""

    bootstrap_key: Annotated[Key, Field(min_length=32)] | None = Field(
        None, description="the first admin key of a deployment; revoke it when there are others"
    )
    max_concurrency: int = Field(
        16, ge=1, le=1000, description="runs that a process executes concurrently"
    )
    max_waiting: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        description="runs that may wait in the queue; more are refused (429)",
    )
    rate_per_minute: int = Field(
        600, ge=0, le=1_000_000, description="requests of a key per minute; 0 is no limit"
    )
    tenant_storage_mb: int = Field(
        10_240,
        ge=0,
        le=2**31,
        description="storage limit of a tenant in MB, beyond which requests are refused (507);"
        " 0 is no limit",
    )
    cors_origins: Origins = Field((), description="origins whose pages may call the service")
    webhook_secret: SigningSecrets | None = Field(
        None, description="secrets that webhooks are signed with; unset, webhooks are disabled"
    )
    webhook_allow_private: bool = Field(
        False, description="allow webhooks to private networks and without TLS"
    )
    approval_webhook: WebhookAddress | None = Field(
        None,
        description="where a candidate that waits for approval is announced, as a signed message"
        " in Slack's format; needs `SELFHEAL_WEBHOOK_SECRET`",
    )
    approval_folder: Folder | None = Field(
        None, description="where a candidate that waits for approval is written as Markdown"
    )
    approval_command: Command | None = Field(
        None,
        description="command that is started, without a shell, for a candidate that waits for"
        " approval: it reads Markdown from its standard input",
    )
    retention_days: int = Field(
        90, ge=0, le=36_500, description="how long runs are kept; 0 is forever"
    )
    state_retention_days: int = Field(
        7,
        ge=0,
        le=36_500,
        description="how long checkpoints, streamed events and webhooks are kept; 0 is forever",
    )

    @property
    def webhook_keys(self) -> tuple[bytes, ...]:
        """The keys that webhooks are signed with, one per configured secret; empty if unset."""
        return signing_keys(self.webhook_secret) if self.webhook_secret else ()


def read_settings() -> ServerSettings:
    """Read the environment.

    Raises:
        SettingsError: a variable of our prefix is unknown, or a value cannot be used; the message
            names the variable, never its value.
    """
    return environment.read(ServerSettings, foreign=DASHBOARD_VARIABLES)
