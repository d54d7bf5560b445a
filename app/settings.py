"""Settings of model calls, and those that every part of the service shares."""

from pydantic import Field

from selfheal.db.setting_types import HttpAddress, Key, ModelName, ModelNames, PublicAddress
from selfheal.db.settings import Settings


class ModelSettings(Settings):
    """Which models are called, and how."""

    google_api_key: Key | None = Field(
        None,
        validation_alias="GOOGLE_API_KEY",
        description="Gemini's key, for the agent and for a judge without a key of its own",
    )
    google_gemini_base_url: HttpAddress | None = Field(
        None,
        validation_alias="GOOGLE_GEMINI_BASE_URL",
        description="another server with Gemini's API, such as a proxy or the simulator",
    )
    model: ModelName = Field(
        "google_genai:gemini-3.8-flash",
        description="the agent's model; another provider needs its LangChain package and key",
    )
    fallback_models: ModelNames = Field(
        (),
        description="models to fall back to, in this order, if one is retired or does not answer",
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
        120.0,
        ge=0.1,
        le=3600,
        description="time limit of a model call as a whole, retries included",
    )

    @property
    def judge_model_name(self) -> str:
        """The judge's model, `provider:model`."""
        return self.judge_model or self.model


class ServiceSettings(Settings):
    """What every part of a service shares."""

    run_timeout_seconds: float = Field(
        300.0,
        ge=0.1,
        le=86_400,
        description="time limit of a run as a whole, and of a call to a role",
    )
    lease_seconds: float = Field(
        10.0,
        ge=1,
        le=3600,
        description="seconds after which a run is taken over from a process that does not renew its"
        " lease",
    )
    public_url: PublicAddress | None = Field(
        None, description="public address of the service, for links in traces"
    )
