"""The one reader of the environment."""

import re
import sys

import httpx
import pytest
from annotated_types import Ge, Le

from selfheal.app.llm.models import require_model
from selfheal.db.settings import SettingsError, known_variables, secret_values, variables
from selfheal.server.cli import main
from selfheal.server.settings import DASHBOARD_VARIABLES, ServerSettings, read_settings
from tests.support.invalid_settings import MARK, nonsense


def test_defaults_are_the_documented_ones() -> None:
    settings = read_settings()
    assert settings.model == "google_genai:gemini-3.8-flash"
    assert (settings.rule_weight, settings.pass_threshold) == (0.4, 0.6)
    assert settings.sandbox == "auto"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param(variable, value, id=f"{variable} {at}")
        for name, field in ServerSettings.model_fields.items()
        for variable in variables(ServerSettings, name)
        for at, value in enumerate(nonsense(field))
    ],
)
def test_nonsense_is_refused_in_one_line_that_names_the_setting(
    variable: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """By the command line itself, in this process: a process for each would take minutes."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(sys, "argv", ["selfheal", "prune"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"selfheal: {variable}: ")
    assert any(words in err for words in ("must be ", "; write postgresql://", "is not UTF-8"))
    assert MARK not in err
    assert not {
        each
        for each in known_variables(ServerSettings) - {variable}
        if re.search(rf"\b{each}\b", err)
    }


@pytest.mark.parametrize("name", ServerSettings.model_fields)
def test_every_setting_is_tried_with_several_values(name: str) -> None:
    assert len(nonsense(ServerSettings.model_fields[name])) >= 3


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SELFHEAL_ROLOUT", "SELFHEAL_ROLLOUT"),
        ("selfheal_rolout", "SELFHEAL_ROLLOUT"),
        ("SELFHEAL_MAX_CONCURENCY", "SELFHEAL_MAX_CONCURRENCY"),
        ("SELFHEAL_DATABASE_URL", "DATABASE_URL"),
        ("SELFHEAL_GOOGLE_API_KEY", "GOOGLE_API_KEY"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_name(
    variable: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "manual")
    with pytest.raises(SettingsError) as refused:
        read_settings()
    assert f"{variable}: no such setting; did you mean {meant}?" in str(refused.value)


@pytest.mark.parametrize("variable", ["SELFHEAL_XYZZY", "SELFHEAL_", f"SELFHEAL_{'X' * 9999}"])
def test_a_setting_that_is_like_no_other_is_refused_without_a_guess(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "")
    with pytest.raises(SettingsError, match="no such setting; docs") as refused:
        read_settings()
    assert len(str(refused.value)) < 200


def test_what_grafanas_container_reads_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in DASHBOARD_VARIABLES:
        monkeypatch.setenv(variable, "x")
    read_settings()


def test_the_bounds_themselves_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, field in ServerSettings.model_fields.items():
        for each in field.metadata:
            if isinstance(each, Ge | Le):
                value = each.ge if isinstance(each, Ge) else each.le
                monkeypatch.setenv(variables(ServerSettings, name)[0], str(value))
                assert getattr(read_settings(), name) == value


@pytest.mark.parametrize(
    "value",
    ["http://h", "https://a-b.example.:65535/x/y@z", "http://[::1]:8001", "http://127.0.0.1/%zz"],
)
def test_an_address_that_is_taken_can_be_called(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFHEAL_WORKER_URL", value)
    assert read_settings().worker_url == value
    httpx.URL(value)


def test_a_bad_value_is_in_no_error_that_led_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that shows chains or locals would show it: nothing leads back to pydantic."""
    monkeypatch.setenv("SELFHEAL_ROLE_KEY", MARK)
    with pytest.raises(SettingsError) as refused:
        read_settings()
    assert refused.value.__cause__ is refused.value.__context__ is None


def test_a_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "very-secret")
    monkeypatch.setenv("DATABASE_URL", "postgres://me:very-secret@host/db")
    assert "very-secret" not in repr(read_settings())


def test_every_secret_is_known_so_that_no_message_shows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signing = "whsec_" + "a" * 40
    values = {
        "DATABASE_URL": "postgresql://me:p%40ssword@host/db",
        "SELFHEAL_DIRECT_DATABASE_URL": "host=h password=other-password dbname=d",
        "SELFHEAL_WEBHOOK_SECRET": f"{signing},{signing}bbbb",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=of-the-collector,x=y",
    }
    for name, field in ServerSettings.model_fields.items():
        if "SecretStr" in str(field.annotation):
            for env in variables(ServerSettings, name):
                values.setdefault(env, f"a secret of 32 characters for {env}")
    for env, value in values.items():
        monkeypatch.setenv(env, value)
    parts = {"p%40ssword", "p@ssword", "other-password", signing, f"{signing}bbbb"}
    assert {*values.values(), *parts, "of-the-collector"} <= {*secret_values(ServerSettings)}


def test_without_a_key_the_ways_are_named() -> None:
    with pytest.raises(SettingsError, match="GOOGLE_API_KEY.*SELFHEAL_MODEL.*make serve"):
        require_model(read_settings())


def test_another_provider_needs_no_google_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_MODEL", "ollama:qwen3")
    require_model(read_settings())


def test_fallbacks_are_a_comma_separated_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_FALLBACK_MODELS", "google_genai:a, openai:b,")
    assert read_settings().fallback_models == ("google_genai:a", "openai:b")
