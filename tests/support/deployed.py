"""The settings that deployments may name, and which of them are secrets."""

from graph.settings import Settings


def _names() -> dict[str, bool]:
    """Return each setting's variable, and whether it is a secret."""
    return {
        str(field.validation_alias or f"SELFHEAL_{name.upper()}"): "SecretStr"
        in str(field.annotation)
        for name, field in Settings.model_fields.items()
    }


KNOWN = _names().keys()
SECRETS = {name for name, secret in _names().items() if secret} | {
    "POSTGRES_PASSWORD",
    "PGPASSWORD",
}
