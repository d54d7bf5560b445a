"""Ended runs are told of: with the result or not at all, at least once, within bounds."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from langsmith import uuid7
from starlette.responses import Response, StreamingResponse

from selfheal.db import claims, runs, webhook_outbox
from selfheal.db.claims import Claim
from selfheal.db.errors import ClaimLostError
from selfheal.db.pool import Database
from selfheal.db.run_requests import RunOptions, RunRequest
from selfheal.db.runs import RunResult
from selfheal.server.auth.limits import StorageQuota
from selfheal.server.execution.local_slots import LocalSlots
from selfheal.server.execution.queue import Queue, open_queue
from selfheal.server.execution.results import complete_run
from selfheal.server.execution.submit import RunSubmitter
from selfheal.server.settings import read_settings
from selfheal.server.webhooks.delivery import WebhookDelivery
from selfheal.server.webhooks.sender import Attempt, WebhookSender
from selfheal.server.webhooks.url_policy import UrlPolicy
from tests.support.webhook_receiver import SECRET, Got, answering, receiving

DONE = RunResult("ok", output={"code": "x = 1"}, values={"request": "add", "code": "x = 1"})

PRIVATE = "the host resolves to a private network"


@pytest.fixture
async def queue(database: Database) -> AsyncIterator[Queue]:
    async with open_queue(database.url) as opened:
        yield opened


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, ...]:
    monkeypatch.setenv("SELFHEAL_WEBHOOK_SECRET", SECRET)
    return read_settings().webhook_keys


@pytest.fixture
def deliverer(database: Database, keys: tuple[bytes, ...]) -> WebhookDelivery:
    return WebhookDelivery(database, WebhookSender(keys, allow_private=True, seconds=1))


def requested(url: str | None, tenant: str = "local") -> RunRequest:
    options = RunOptions(input={"request": "add"}, webhook=url, temporary=True)
    return RunRequest(
        id=uuid7(), thread_id=uuid7(), assistant="agent", options=options, tenant=tenant
    )


async def record(database: Database, queue: Queue, claim: Claim, result: RunResult | None) -> None:
    """Store the end of a claimed run; None rolls it back."""
    await database.run(lambda each: complete_run(each, queue, claim.id, result, claim=claim))


async def claimed(database: Database, request: RunRequest) -> Claim:
    async with database.transaction() as connection:
        await claims.enqueue(connection, request)
        claim = await claims.claim(connection, request.id, "test", 60)
    assert claim is not None
    return claim


async def ended(database: Database, queue: Queue, url: str, tenant: str = "local") -> UUID:
    """Let a run end whose webhook is `url`; return its id."""
    claim = await claimed(database, requested(url, tenant))
    await record(database, queue, claim, DONE)
    return claim.id


async def letter(database: Database, run_id: UUID) -> dict[str, Any] | None:
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT *, extract(epoch FROM due_at - clock_timestamp())::float AS due_in FROM outbox"
            " WHERE run_id = %s",
            (run_id,),
        )
        return await cursor.fetchone()


async def standing(database: Database, run_id: UUID) -> tuple[str, int, str]:
    row = await letter(database, run_id)
    assert row is not None
    return row["status"], row["attempts"], row["last_error"]


async def hurry(database: Database) -> None:
    """Let all waits and leases be over."""
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE outbox SET due_at = clock_timestamp(),"
            " leased_until = clock_timestamp() - interval '1 s' WHERE ended_at IS NULL"
        )


async def look(deliverer: WebhookDelivery) -> None:
    await deliverer.start_due()
    await deliverer.drain()


async def test_the_run_is_delivered_as_langgraphs_server_does(
    database: Database, queue: Queue, deliverer: WebhookDelivery
) -> None:
    async with receiving() as receiver:
        run_id = await ended(database, queue, f"{receiver.url}/hook?token=1")
        await look(deliverer)
        (got,) = receiver.got
    assert (got.id, got.path, got.headers["content-type"]) == (
        str(run_id),
        "/hook",
        "application/json",
    )
    assert got.is_signed()
    assert abs(int(got.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
    told = got.told
    assert told.keys() == {
        *("run_id", "thread_id", "assistant_id", "created_at", "updated_at", "status"),
        *("metadata", "kwargs", "multitask_strategy"),
        *("langsmith_session_name", "run_started_at", "run_ended_at", "webhook_sent_at", "values"),
    }
    assert (told["run_id"], told["status"]) == (str(run_id), "success")
    assert told["values"] == DONE.values
    times = [told[f"{each}_at"] for each in ("created", "run_started", "run_ended", "webhook_sent")]
    assert times == sorted(times, key=datetime.fromisoformat)
    assert await standing(database, run_id) == ("delivered", 1, "")
    row = await letter(database, run_id)
    assert row is not None
    assert row["values"] is None, "what was delivered is not kept twice"


@pytest.mark.parametrize(
    ("result", "status", "error"),
    [
        (RunResult("model", "retired"), "error", {"error": "model", "message": "retired"}),
        (
            RunResult("infrastructure", "the run took over 1 s", timed_out=True),
            "timeout",
            {"error": "infrastructure", "message": "the run took over 1 s"},
        ),
        (
            RunResult(None, "cancelled"),
            "interrupted",
            {"error": "cancelled", "message": "cancelled"},
        ),
        (RunResult(None), "interrupted", None),
    ],
)
async def test_every_end_is_delivered(
    database: Database,
    queue: Queue,
    deliverer: WebhookDelivery,
    result: RunResult,
    status: str,
    error: Any,
) -> None:
    async with receiving() as receiver:
        claim = await claimed(database, requested(receiver.url))
        await record(database, queue, claim, result)
        await look(deliverer)
        told = receiver.got[0].told
    assert (told["status"], told.get("error"), told["values"]) == (status, error, None)


async def test_a_run_that_never_started_is_delivered_if_cancelled_but_not_if_rolled_back(
    database: Database, queue: Queue, deliverer: WebhookDelivery
) -> None:
    no_slots = LocalSlots(cast("Any", None), enabled=False)
    webhooks = UrlPolicy(configured=True, allow_private=True)
    quota = StorageQuota(database, 0)
    submitter = RunSubmitter(database, queue, no_slots, 1000, webhooks, quota)
    async with receiving() as receiver:
        orders = [requested(receiver.url) for _ in range(2)]
        await submitter.submit(*orders)
        for order, action in zip(orders, ("interrupt", "rollback"), strict=True):
            async with database.connection() as connection:
                run = await runs.get(connection, order.id)
            await submitter.cancel(run.id, action)  # type: ignore[arg-type]
        await record(database, queue, await claimed(database, requested(receiver.url)), None)
        await look(deliverer)
        (got,) = receiver.got
    assert (got.id, got.told["status"]) == (str(orders[0].id), "interrupted")
    assert got.told["run_started_at"] is None


async def test_there_is_something_to_tell_exactly_if_there_is_a_result(
    database: Database, queue: Queue
) -> None:
    claim = await claimed(database, requested("http://127.0.0.1:1/"))
    with pytest.raises(ClaimLostError):
        await record(database, queue, replace(claim, token=uuid7()), DONE)
    assert await letter(database, claim.id) is None
    # A finish that fails leaves nothing to be told either.
    with pytest.raises(Exception, match="refused"):
        await record(database, queue, claim, RunResult("nonsense"))  # type: ignore[arg-type]
    assert await letter(database, claim.id) is None
    await record(database, queue, claim, DONE)
    assert await letter(database, claim.id) is not None
    without = requested(None)
    await record(database, queue, await claimed(database, without), DONE)
    assert await letter(database, without.id) is None


async def test_a_failed_delivery_is_retried_with_backoff(
    database: Database, queue: Queue, deliverer: WebhookDelivery
) -> None:
    async with receiving(answering(500, 429, 200, **{"retry-after": "600"})) as receiver:
        run_id = await ended(database, queue, receiver.url)
        await look(deliverer)
        assert await standing(database, run_id) == ("waiting", 1, "answered 500")
        row = await letter(database, run_id)
        assert row is not None
        assert 590 < row["due_in"] <= 600, "as the receiver wished"
        await look(deliverer)
        assert len(receiver.got) == 1, "not before its time"
        for _ in range(2):
            await hurry(database)
            await look(deliverer)
        assert await standing(database, run_id) == ("delivered", 3, "")
        await hurry(database)
        await look(deliverer)
        assert [got.id for got in receiver.got] == [str(run_id)] * 3
        assert all(got.is_signed() for got in receiver.got)


async def test_a_receiver_that_was_down_gets_the_delivery_when_it_is_up(
    database: Database, queue: Queue, deliverer: WebhookDelivery
) -> None:
    async with receiving() as receiver:
        port = int(receiver.url.rpartition(":")[2])
    run_id = await ended(database, queue, receiver.url)
    await look(deliverer)
    status, attempts, error = await standing(database, run_id)
    assert (status, attempts) == ("waiting", 1)
    assert error.startswith("cannot be reached")
    async with receiving(port=port) as receiver:
        await hurry(database)
        await look(deliverer)
        assert [got.id for got in receiver.got] == [str(run_id)]


@pytest.mark.parametrize("code", [400, 401, 404, 410, 304])
async def test_a_refusal_is_the_end(
    database: Database, queue: Queue, deliverer: WebhookDelivery, code: int
) -> None:
    async with receiving(answering(code)) as receiver:
        run_id = await ended(database, queue, receiver.url)
        await look(deliverer)
    assert await standing(database, run_id) == ("dead", 1, f"answered {code}")


async def test_what_was_given_up_is_sent_again_by_hand(
    database: Database, queue: Queue, deliverer: WebhookDelivery
) -> None:
    async with receiving(answering(410, 200)) as receiver:
        run_id = await ended(database, queue, receiver.url)
        await look(deliverer)
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE outbox SET status = 'waiting', ended_at = NULL, attempts = 0,"
                " due_at = now() WHERE run_id = %s",
                (run_id,),
            )
        await look(deliverer)
        assert [got.told["values"] for got in receiver.got] == [DONE.values] * 2


@pytest.mark.parametrize("code", [408, 425, 429, 502, 503])
async def test_the_tenth_failure_is_the_last(
    database: Database, queue: Queue, deliverer: WebhookDelivery, code: int
) -> None:
    async with receiving(answering(code)) as receiver:
        run_id = await ended(database, queue, receiver.url)
        for attempt in range(1, 11):
            await look(deliverer)
            status = "waiting" if attempt < 10 else "dead"
            assert await standing(database, run_id) == (status, attempt, f"answered {code}")
            await hurry(database)
        await look(deliverer)
        assert len(receiver.got) == 10


async def test_redirects_are_not_followed(
    database: Database, queue: Queue, deliverer: WebhookDelivery
) -> None:
    async with receiving() as inside:
        async with receiving(answering(307, location=f"{inside.url}/admin")) as receiver:
            run_id = await ended(database, queue, receiver.url)
            await look(deliverer)
        assert inside.got == []
    error = "answered 307: redirects are not followed"
    assert await standing(database, run_id) == ("dead", 1, error)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::1]"])
async def test_whatever_leads_to_a_private_address_is_refused(
    database: Database, queue: Queue, keys: tuple[bytes, ...], host: str
) -> None:
    careful = WebhookDelivery(database, WebhookSender(keys, allow_private=False))
    async with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        run_id = await ended(database, queue, f"http://{host}:{port}/")
        await look(careful)
        assert receiver.got == []
    assert await standing(database, run_id) == ("dead", 1, PRIVATE)


async def test_one_private_address_among_public_ones_is_enough(keys: tuple[bytes, ...]) -> None:
    asked: list[str] = []

    def resolve(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["8.8.8.8", "127.0.0.1"]

    attempt = await WebhookSender(keys, allow_private=False, resolve=resolve).post(
        "http://a.b/", "1", b""
    )
    assert (attempt, asked) == (Attempt("stop", PRIVATE), ["a.b"])


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Make a certificate of hook.example; return its key and itself."""
    key, made = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ("-subj", "/CN=hook.example", "-addext", "subjectAltName=DNS:hook.example")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    command = (
        "openssl",
        "req",
        "-x509",
        *kind,
        *subject,
        "-keyout",
        key,
        "-out",
        made,
    )
    subprocess.run(command, check=True, capture_output=True)
    return key, made


async def test_the_resolved_address_is_called_under_the_given_host_name(
    certificate: tuple[Path, Path], keys: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is resolved once, so a second answer cannot lead elsewhere; TLS still asks for it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    asked: list[str] = []

    def resolve(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.2", "127.0.0.1"]  # nobody listens at the first one

    async with receiving(tls=certificate) as receiver:
        port = receiver.url.rpartition(":")[2]
        poster = WebhookSender(keys, allow_private=True, resolve=resolve)
        right = await poster.post(f"https://hook.example:{port}/a", "1", b"{}")
        wrong = await poster.post(f"https://other.example:{port}/b", "2", b"{}")
    assert (right.result, wrong.result) == ("delivered", "retry")
    assert "CERTIFICATE_VERIFY_FAILED" in wrong.error
    assert [got.headers["host"] for got in receiver.got] == [f"hook.example:{port}"]
    assert asked == ["hook.example", "other.example"]


async def test_unexpected_errors_are_bounded_too(
    database: Database, queue: Queue, keys: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    def resolve(_: str, __: int) -> list[str]:
        return []

    broken = WebhookDelivery(database, WebhookSender(keys, allow_private=True, resolve=resolve))
    run_id = await ended(database, queue, "http://nobody.example/")
    await look(broken)
    error = "internal error; see the log"
    assert await standing(database, run_id) == ("waiting", 1, error)
    assert f"sending the webhook of run {run_id} failed" in caplog.text


async def test_receivers_that_waste_time_or_memory_gain_nothing(
    database: Database, queue: Queue, deliverer: WebhookDelivery
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536
            await asyncio.sleep(0)

    async def reply(got: Got) -> Response:
        if got.path == "/slow":
            await asyncio.sleep(5)
        return StreamingResponse(endless())

    async with receiving(reply) as receiver:
        slow = await ended(database, queue, f"{receiver.url}/slow")
        long = await ended(database, queue, f"{receiver.url}/long")
        await asyncio.wait_for(look(deliverer), 3)
    assert await standing(database, slow) == ("waiting", 1, "no answer within 1 s")
    assert await standing(database, long) == ("delivered", 1, "")


@asynccontextmanager
async def hanging() -> AsyncIterator[Any]:
    """Receive, and answer only when told to."""
    answer = asyncio.Event()

    async def reply(_: Got) -> Response:
        await answer.wait()
        return Response()

    async with receiving(reply) as receiver:
        yield receiver, answer
        answer.set()


@pytest.mark.every_database
async def test_one_process_at_a_time_delivers_and_a_late_one_records_nothing(
    database: Database, queue: Queue, keys: tuple[bytes, ...]
) -> None:
    one, two = (
        WebhookDelivery(database, WebhookSender(keys, allow_private=True)) for _ in range(2)
    )
    async with hanging() as (receiver, answer), receiving(answering(410)) as refusing:
        run_id = await ended(database, queue, receiver.url)
        await one.start_due()
        await receiver.has(1)
        await look(two)
        assert len(receiver.got) == 1
        await hurry(database)  # the first one's lease is over: it is believed dead
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE runs SET kwargs = jsonb_set(kwargs, '{webhook}', to_jsonb(%s::text))",
                (refusing.url,),
            )
        await look(two)
        answer.set()
        await one.drain()
        assert [got.id for got in receiver.got + refusing.got] == [str(run_id)] * 2
    assert await standing(database, run_id) == ("dead", 2, "answered 410")


@pytest.mark.every_database
async def test_many_processes_tell_each_run_once(
    database: Database, queue: Queue, keys: tuple[bytes, ...]
) -> None:
    processes = [
        WebhookDelivery(database, WebhookSender(keys, allow_private=True)) for _ in range(3)
    ]
    async with receiving() as receiver:
        ids = [await ended(database, queue, receiver.url, f"t{n % 5}") for n in range(30)]
        while len(receiver.got) < 30:
            await asyncio.gather(*(look(each) for each in processes))
        assert sorted(got.id for got in receiver.got) == sorted(map(str, ids))


async def test_a_tenant_with_slow_receivers_does_not_delay_others(
    database: Database, queue: Queue, keys: tuple[bytes, ...]
) -> None:
    busy = WebhookDelivery(database, WebhookSender(keys, allow_private=True))
    async with hanging() as (slow, _), receiving() as quick:
        for _ in range(20):
            await ended(database, queue, slow.url, "slow")
        await busy.start_due()
        await ended(database, queue, quick.url, "quick")
        await busy.start_due()
        await quick.has(1)
        assert len(await slow.has(4)) == 4
    await busy.drain()


async def test_what_is_over_is_deleted_some_day_and_a_run_takes_its_own_along(
    database: Database, queue: Queue, deliverer: WebhookDelivery
) -> None:
    async with receiving(answering(200, 410)) as receiver:
        for _ in range(2):
            await ended(database, queue, receiver.url)
        await look(deliverer)
    waiting = await ended(database, queue, receiver.url)
    now = datetime.now(UTC)
    async with database.connection() as connection:
        assert await webhook_outbox.prune(connection, now - timedelta(days=1), 100) == 0
        assert await webhook_outbox.prune(connection, now + timedelta(days=1), 1) == 1
        assert await webhook_outbox.prune(connection, now + timedelta(days=1), 100) == 1
        assert await webhook_outbox.prune(connection, now + timedelta(days=1), 100) == 0
        await runs.delete(connection, waiting)
    assert await letter(database, waiting) is None
