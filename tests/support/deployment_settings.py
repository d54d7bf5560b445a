"""The settings that deployments may name, and which of them are secrets."""

from selfheal.app.setting_forms import is_secret
from selfheal.graph.settings import Settings, known_variables, variables

KNOWN = known_variables()
SECRETS = {
    each
    for name, field in Settings.model_fields.items()
    if is_secret(field)
    for each in variables(name)
} | {"POSTGRES_PASSWORD", "PGPASSWORD"}
