"""Settings of the code agent."""

from typing import Annotated, Literal

from pydantic import Field

from selfheal.app.settings import ModelSettings, ServiceSettings
from selfheal.db.setting_types import Folder, HttpAddress, Key
from selfheal.db.settings import DatabaseSettings, Settings


class RoleSettings(Settings):
    """Where the agent's roles run, if not in this process."""

    worker_url: HttpAddress | None = Field(
        None, description="address of the worker's role; unset, this process does its work"
    )
    evaluator_url: HttpAddress | None = Field(
        None, description="address of the evaluator's role; unset, this process does its work"
    )
    role_key: Annotated[Key, Field(min_length=16)] | None = Field(
        None, description="secret that the roles authenticate each other with"
    )


class AgentSettings(RoleSettings, ServiceSettings, DatabaseSettings, ModelSettings):
    """What the code agent takes: its own settings and those that it builds on."""

    rule_weight: float = Field(
        0.4, ge=0, le=1, description="weight of the rules in the score; the judge's is the rest"
    )
    pass_threshold: float = Field(
        0.6, gt=0, le=1, description="the score at which a program passes"
    )
    sandbox: Literal["auto", "bwrap", "landlock", "wasm", "static"] = Field(
        "auto",
        description="sandbox for generated code; `auto` takes the first that passes its self-test,"
        " `static` runs none",
    )
    sandbox_packages: Folder | None = Field(
        None,
        description="packages for generated code beside the standard library: a folder filled by"
        " `pip install --target`, read-only for programs; not for `wasm`",
    )
