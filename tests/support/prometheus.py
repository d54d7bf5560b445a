"""A real Prometheus with our rules, sixty times as fast."""

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from bench.harness.processes import clean_environment, started

RULES = Path(__file__).parents[2] / "grafana/prometheus/rules.yml"
HERE = shutil.which("prometheus")
FASTER = 60
STEP = 0.25  # seconds between two looks: fifteen, sixty times as fast
_UNITS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(?<=[\[:])(\d+)([smh])(?=[\]:])")


def faster(rules: dict[str, Any]) -> dict[str, Any]:
    """Return rules with every duration divided by sixty, thresholds in seconds too."""
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = _DURATION.sub(_shorter, rule["expr"])
            if "for" in rule:
                rule["for"] = _shorter(re.fullmatch(r"(\d+)([smh])", rule["for"]))
            if rule.get("alert") == "SelfhealQueueOld":
                rule["expr"] = rule["expr"].replace("> 60", f"> {60 / FASTER:g}")
    return rules


def _shorter(found: re.Match[str] | None) -> str:
    assert found is not None
    return f"{int(found[1]) * _UNITS[found[2]] * 1000 // FASTER}ms"


def free() -> int:
    """Return a port that is free now."""
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return int(any_port.getsockname()[1])


@dataclass
class Prometheus:
    """A Prometheus that scrapes the service."""

    url: str
    client: httpx.AsyncClient

    async def query(self, expr: str) -> list[dict[str, Any]]:
        """Return what an expression is now."""
        answer = (await self.client.get("/api/v1/query", params={"query": expr})).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    async def comes(self, expr: str, seconds: float = 60) -> None:
        """Wait until an expression has a value."""
        async with asyncio.timeout(seconds):
            while not await self.query(expr):
                await asyncio.sleep(STEP)

    async def fired(self) -> set[str]:
        """Return the alerts that have ever fired."""
        found = await self.query('max_over_time(ALERTS{alertstate="firing"}[1h])')
        return {each["metric"]["alertname"] for each in found}

    async def firing(self) -> set[str]:
        """Return the alerts that fire now."""
        found = await self.query('ALERTS{alertstate="firing"}')
        return {each["metric"]["alertname"] for each in found}

    async def until(self, wanted: set[str], seconds: float = 60) -> None:
        """Wait until these alerts fire and no others."""
        try:
            async with asyncio.timeout(seconds):
                while await self.firing() != wanted:
                    await asyncio.sleep(STEP)
        except TimeoutError:
            raise AssertionError(f"{await self.firing()} fire, not {wanted}") from None


@asynccontextmanager
async def prometheus(
    folder: Path, rules: dict[str, Any], *targets: str
) -> AsyncIterator[Prometheus]:
    """Start one that scrapes these addresses."""
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    job = {"job_name": "selfheal", "static_configs": [{"targets": list(targets)}]}
    every = f"{int(STEP * 1000)}ms"
    settings = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": ["rules.yml"],
        "scrape_configs": [job],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{free()}"
    command = (
        str(HERE),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    )
    ready = "Server is ready to receive web requests"
    async with (
        started(*command, env=clean_environment(), says=ready),
        httpx.AsyncClient(base_url=f"http://{address}", timeout=30) as client,
    ):
        yield Prometheus(f"http://{address}", client)
