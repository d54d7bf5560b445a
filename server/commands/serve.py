"""`selfheal serve`: the service, or one of its roles."""

import logging

from selfheal.db import api_keys
from selfheal.db.bootstrap import open_any_schema
from selfheal.db.embedded.server import NoClusterError
from selfheal.server.api.connections import allowed_connections
from selfheal.server.binding import PORTS, is_loopback, listen
from selfheal.server.commands.errors import CommandError
from selfheal.server.commands.runtime import run_async
from selfheal.server.observability.logs import log_to_stderr
from selfheal.server.settings import ServerSettings, read_settings

logger = logging.getLogger(__name__)


@run_async
async def serve(role: str, host: str, port: int | None, metrics_port: int | None) -> None:
    """Serve the agent over HTTP, with the optimizer's schedule, or a single role.

    Args:
        role: one of `PORTS`.
        host: the address to listen on.
        port: the port; the role's default if None, any free one if 0.
        metrics_port: the port of /metrics; 1000 above `port` if None.

    Raises:
        CommandError: callers from other machines would need no key.
    """
    settings = read_settings()
    if not is_loopback(host):
        await _require_keys(settings, role, host)
    log_to_stderr(settings)
    connections = allowed_connections(settings.max_concurrency + settings.heal_concurrency)
    port = PORTS[role] if port is None else port
    if metrics_port is None:
        metrics_port = _metrics_port(port)
    with listen(host, port) as listener, listen(host, metrics_port, "--metrics-port") as metrics:
        logger.info("starting role %s on port %d", role, listener.getsockname()[1])
        from selfheal.server.roles.process import serve_role  # noqa: PLC0415 - takes seconds

        await serve_role(settings, role, listener, metrics, connections)


def _metrics_port(port: int) -> int:
    """Return the port 1000 above; 0, for any free one, if `port` is 0 or has none above."""
    return port + 1000 if 0 < port <= 64535 else 0


async def _require_keys(settings: ServerSettings, role: str, host: str) -> None:
    """Check that callers from other machines need a key, before anything listens or is created.

    Raises:
        CommandError: they would need none.
    """
    if role == "runner":  # it serves only its health
        return
    if role in ("worker", "evaluator"):
        keyed, remedy = settings.role_key is not None, "set SELFHEAL_ROLE_KEY"
    else:
        keyed = settings.bootstrap_key is not None or await _has_keys(settings)
        remedy = "create a key with `selfheal keys create`, or set SELFHEAL_BOOTSTRAP_KEY"
    if not keyed:
        raise CommandError(
            f"--host {host}: without keys only a loopback address such as 127.0.0.1 is allowed;"
            f" {remedy}"
        )


async def _has_keys(settings: ServerSettings) -> bool:
    """Return whether the database has keys; one that does not exist yet has none."""
    try:
        async with (
            open_any_schema(settings, create=False) as database,
            database.connection() as connection,
        ):
            return await api_keys.any_exist_before_migration(connection)
    except NoClusterError:
        return False
