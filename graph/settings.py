"""The one reader of the environment."""

import base64
import binascii
import re
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ProposerName = Literal["writer", "gepa"]


class SettingsError(Exception):
    """A setting has a value that cannot be used; the message names it, in one line."""


class Settings(BaseSettings):
    """All settings, from the environment. Standard names where a library has them."""

    model_config = SettingsConfigDict(
        env_prefix="SELFHEAL_", extra="ignore", frozen=True, env_ignore_empty=True
    )

    google_api_key: SecretStr | None = Field(None, validation_alias="GOOGLE_API_KEY")
    database_url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    direct_database_url: SecretStr | None = None
    bootstrap_key: Annotated[SecretStr, Field(min_length=32)] | None = None
    data_dir: Path = Field(default_factory=lambda: platformdirs.user_data_path("selfheal"))

    model: str = "google_genai:gemini-3.8-flash"
    fallback_models: Annotated[tuple[str, ...], NoDecode] = ()
    judge_model: str | None = None
    judge_api_key: SecretStr | None = None
    model_timeout_seconds: float = Field(120.0, gt=0)

    rule_weight: float = Field(0.4, ge=0, le=1)
    pass_threshold: float = Field(0.6, gt=0, le=1)
    sandbox: Literal["auto", "bwrap", "landlock", "wasm", "static"] = "auto"

    optimizer_model: str | None = None
    proposer: ProposerName = "writer"
    failure_threshold: int = Field(3, ge=1)
    failure_window_minutes: int = Field(30, ge=1)
    optimize_every_seconds: int = Field(600, ge=0)
    rollout: Literal["canary", "instant", "manual"] = "canary"
    canary_percent: int = Field(50, ge=1, le=99)
    heal_budget_calls: int = Field(400, ge=1)
    heal_daily_calls: int = Field(2000, ge=1)
    lease_seconds: float = Field(10.0, ge=1)
    heal_concurrency: int = Field(4, ge=1, le=100)

    worker_url: str | None = Field(None, pattern=r"^https?://\S+$")
    evaluator_url: str | None = Field(None, pattern=r"^https?://\S+$")
    role_key: Annotated[SecretStr, Field(min_length=16)] | None = None

    max_concurrency: int = Field(16, ge=1, le=1000)
    max_waiting: int = Field(1000, ge=1)
    rate_per_minute: int = Field(600, ge=0)
    tenant_storage_mb: int = Field(10_240, ge=0, le=2**31)
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    run_timeout_seconds: float = Field(300.0, gt=0)
    retention_days: int = Field(90, ge=0)
    state_retention_days: int = Field(7, ge=0)
    webhook_secret: SecretStr | None = None
    webhook_allow_private: bool = False

    log_format: Literal["auto", "json", "text"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    public_url: str | None = Field(None, pattern=r"^https?://[^\s?#]*[^\s?#/]$")

    @field_validator("log_format", "log_level", mode="before")
    @classmethod
    def _in_small(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("fallback_models", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Read a comma-separated list."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("model", "judge_model", "optimizer_model", "fallback_models")
    @classmethod
    def _named_with_provider(cls, value: str | tuple[str, ...] | None) -> object:
        names = (value,) if isinstance(value, str) else value or ()
        for name in names:
            provider, _, model = name.partition(":")
            if not provider or not model:
                raise ValueError(f"'{name}' is not of the form provider:model")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not re.fullmatch(r"https?://[^/*\s]+", origin):
                raise ValueError(f"'{origin}' is not of the form https://host or https://host:port")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _signing(cls, value: SecretStr | None) -> SecretStr | None:
        if value and any(not 24 <= len(each) <= 64 for each in _signing_keys(value)):
            raise ValueError("must be whsec_ and base64 of 24 to 64 random bytes")
        return value

    @property
    def webhook_keys(self) -> tuple[bytes, ...]:
        """What webhooks are signed with: each secret of a comma-separated list; empty if unset."""
        return _signing_keys(self.webhook_secret) if self.webhook_secret else ()

    @property
    def judges_by(self) -> str:
        """The judge's model."""
        return self.judge_model or self.model

    @property
    def optimizes_by(self) -> str:
        """The model of the diagnostician and of the writer of prompts."""
        return self.optimizer_model or self.model


def _signing_keys(secrets: SecretStr) -> tuple[bytes, ...]:
    """Return the keys of `whsec_…,whsec_…`; an empty one for what is none."""
    return tuple(_signing_key(each.strip()) for each in secrets.get_secret_value().split(","))


def _signing_key(text: str) -> bytes:
    prefix, _, encoded = text.partition("_")
    try:
        return base64.b64decode(encoded, validate=True) if prefix == "whsec" else b""
    except binascii.Error:
        return b""


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a value cannot be used; the message names the setting, never its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        name = str(first["loc"][0])
        shown = name if name.isupper() else f"SELFHEAL_{name.upper()}"
        raise SettingsError(f"{shown}: {first['msg'].removeprefix('Value error, ')}") from None
