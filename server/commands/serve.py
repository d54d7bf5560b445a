"""`selfheal serve`: the service on this machine, or one of its roles."""

import logging

from selfheal.db import api_keys
from selfheal.db.embedded.server import NoClusterError
from selfheal.graph.database import connected
from selfheal.graph.settings import Settings, read_settings
from selfheal.server.api.connections import allowed_connections
from selfheal.server.binding import PORTS, is_loopback, listen
from selfheal.server.commands.errors import Refused
from selfheal.server.commands.runtime import run_async
from selfheal.server.observability.logs import log_to_stderr

logger = logging.getLogger(__name__)


@run_async
async def serve(role: str, host: str, port: int | None, metrics_port: int | None) -> None:
    """Serve the agent over HTTP, with the optimizer's scheduler, or one role of it."""
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
        from selfheal.server.roles.process import serve_role  # noqa: PLC0415 - seconds, so not before this

        await serve_role(settings, role, listener, metrics, connections)


def _metrics_port(port: int) -> int:
    """Return the port 1000 above; any free one where the other is any, or none is above."""
    return port + 1000 if 0 < port <= 64535 else 0


async def _require_keys(settings: Settings, role: str, host: str) -> None:
    """Check that callers from other machines need a key, before anything listens or is made.

    Raises:
        Refused: they would need none.
    """
    if role == "runner":  # it serves its health alone
        return
    if role in ("worker", "evaluator"):
        keyed, remedy = settings.role_key is not None, "set SELFHEAL_ROLE_KEY"
    else:
        keyed = settings.bootstrap_key is not None or await _has_keys(settings)
        remedy = "make a key with `selfheal keys create`, or set SELFHEAL_BOOTSTRAP_KEY"
    if not keyed:
        raise Refused(
            f"--host {host}: without keys only a loopback address such as 127.0.0.1; {remedy}"
        )


async def _has_keys(settings: Settings) -> bool:
    """Return whether the database has keys: one that does not exist yet has none."""
    try:
        async with (
            connected(settings, create=False) as database,
            database.connection() as connection,
        ):
            return await api_keys.any_exist_before_migration(connection)
    except NoClusterError:
        return False
