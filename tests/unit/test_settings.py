"""The one reader of the environment."""

import pytest

from graph.context import require_model
from graph.settings import SettingsError, read_settings


def test_defaults_are_the_documented_ones() -> None:
    settings = read_settings()
    assert settings.model == "google_genai:gemini-3.8-flash"
    assert (settings.rule_weight, settings.pass_threshold) == (0.4, 0.6)
    assert settings.sandbox == "auto"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SELFHEAL_RULE_WEIGHT", "2"),
        ("SELFHEAL_SANDBOX", "chroot"),
        ("SELFHEAL_MODEL", "gemini"),
        ("SELFHEAL_MAX_CONCURRENCY", "many"),
        ("SELFHEAL_FALLBACK_MODELS", "google_genai:a,b"),
        ("SELFHEAL_RATE_PER_MINUTE", "-1"),
        ("SELFHEAL_TENANT_STORAGE_MB", "-1"),
        ("SELFHEAL_CORS_ORIGINS", "https://app.example,*"),
        ("SELFHEAL_CORS_ORIGINS", "https://app.example/"),
        ("SELFHEAL_LOG_FORMAT", "xml"),
        ("SELFHEAL_PUBLIC_URL", "heal.example"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        read_settings()


def test_a_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "very-secret")
    monkeypatch.setenv("DATABASE_URL", "postgres://me:very-secret@host/db")
    assert "very-secret" not in repr(read_settings())


def test_without_a_key_the_ways_are_named() -> None:
    with pytest.raises(SettingsError, match="GOOGLE_API_KEY.*SELFHEAL_MODEL.*make serve"):
        require_model(read_settings())


def test_another_provider_needs_no_google_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_MODEL", "ollama:qwen3")
    require_model(read_settings())


def test_fallbacks_are_a_comma_separated_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_FALLBACK_MODELS", "google_genai:a, openai:b,")
    assert read_settings().fallback_models == ("google_genai:a", "openai:b")
