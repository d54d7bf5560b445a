"""The settings that deployments may name, and which of them are secrets."""

from graph.setting_forms import is_secret
from graph.settings import Settings, known_variables, variables

KNOWN = known_variables()
SECRETS = {
    each
    for name, field in Settings.model_fields.items()
    if is_secret(field)
    for each in variables(name)
} | {"POSTGRES_PASSWORD", "PGPASSWORD"}
