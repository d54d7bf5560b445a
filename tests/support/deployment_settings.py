"""The settings that deployments may name, and which of them are secrets."""

from selfheal.db.setting_types import is_secret
from selfheal.db.settings import known_variables, variables
from selfheal.server.settings import ServerSettings

KNOWN = known_variables(ServerSettings)
SECRETS = {
    each
    for name, field in ServerSettings.model_fields.items()
    if is_secret(field)
    for each in variables(ServerSettings, name)
} | {"POSTGRES_PASSWORD", "PGPASSWORD"}
