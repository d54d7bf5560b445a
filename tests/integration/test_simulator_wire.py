"""The simulator over HTTP, called by the clients that the product and others use."""

import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types
from langchain_google_genai import ChatGoogleGenerativeAI
from pydantic import BaseModel, Field

from tests.conftest import control

WORKER = """Write a complete, working implementation with exactly the function name and parameters
of the plan. Handle edge cases. Check the examples. Give type hints and docstrings. Answer with one
Python code block."""
REQUEST = "Write slugify(text, max_length=40) for URL slugs."
# google-genai asks v1beta before its release 3, and v1 from then on.
VERSIONS = ("v1", "v1beta")


class Marks(BaseModel):
    """What the judge gives."""

    correctness: float = Field(ge=0, le=1)
    completeness: float = Field(ge=0, le=1)
    readability: float = Field(ge=0, le=1)
    reasons: list[str]


class Example(BaseModel):
    """One example of a plan."""

    call: str
    returns: str = ""
    raises: str = ""


class Plan(BaseModel):
    """What the manager gives."""

    title: str
    requirements: list[str]
    signature: str
    examples: list[Example]


def fence(of: str, text: str) -> str:
    nonce = secrets.token_hex(8)
    return f'<data id="{nonce}" of="{of}">\n{text}\n</data id="{nonce}">'


ASKED = [("system", WORKER), ("human", fence("request", REQUEST))]


@asynccontextmanager
async def opened(model: str) -> AsyncIterator[ChatGoogleGenerativeAI]:
    chat = ChatGoogleGenerativeAI(model=model, max_retries=1)
    yield chat
    assert chat.client is not None
    await closed(chat.client)


async def closed(client: genai.Client) -> None:
    client.close()
    await client.aio.aclose()


@pytest.fixture
async def chat(gemini: str) -> AsyncIterator[ChatGoogleGenerativeAI]:
    await control(gemini, noise=0)
    async with opened("gemini-3.8-flash") as made:
        yield made


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Return each version of the API that clients ask for."""
    return str(request.param)


@pytest.fixture
async def http(gemini: str, version: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"x-goog-api-key": "simulated"}
    async with httpx.AsyncClient(base_url=f"{gemini}/{version}", headers=headers) as client:
        yield client


def body(text: str = fence("request", REQUEST), **more: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


FLASH = "/models/gemini-3.8-flash"


class TestLangChain:
    async def test_text_sync_and_async(self, chat: ChatGoogleGenerativeAI) -> None:
        for said in (chat.invoke(ASKED), await chat.ainvoke(ASKED)):
            assert "def slugify(text: str" in said.text
            assert said.response_metadata["finish_reason"] == "STOP"
            assert said.response_metadata["model_name"] == "SIMULATED-gemini-3.8-flash"
            usage = said.usage_metadata
            assert usage is not None
            assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 100

    async def test_streams_say_the_same(self, chat: ChatGoogleGenerativeAI) -> None:
        whole = chat.invoke(ASKED).text
        parts = [chunk.text for chunk in chat.stream(ASKED)]
        assert len([part for part in parts if part]) > 1
        assert "".join(parts) == whole
        assert "".join([chunk.text async for chunk in chat.astream(ASKED)]) == whole

    @pytest.mark.parametrize("method", ["json_schema", "function_calling"])
    async def test_structured_output(self, chat: ChatGoogleGenerativeAI, method: Any) -> None:
        made = chat.with_structured_output(Plan, method=method, include_raw=True)
        for said in (made.invoke(ASKED), await made.ainvoke(ASKED)):
            assert isinstance(said, dict)
            assert said["parsing_error"] is None
            assert "(text: str, max_length: int" in said["parsed"].signature
            assert said["raw"].response_metadata["finish_reason"] == "STOP"

    async def test_rate_limit_carries_retry_info(
        self, chat: ChatGoogleGenerativeAI, gemini: str
    ) -> None:
        fault = {"kind": "rate-limit", "persona": "worker", "times": 1, "retry_delay": 1}
        await control(gemini, faults=[fault])
        with pytest.raises(Exception, match="429") as caught:
            chat.invoke(ASKED)
        cause = caught.value.__cause__
        assert isinstance(cause, errors.ClientError)
        details = cause.details["error"]["details"]
        assert details[0]["retryDelay"] == "1s"
        assert chat.invoke(ASKED).text

    @pytest.mark.parametrize(
        ("kind", "reason"), [("truncation", "MAX_TOKENS"), ("safety-finish", "SAFETY")]
    )
    async def test_finish_reasons(
        self, chat: ChatGoogleGenerativeAI, gemini: str, kind: str, reason: str
    ) -> None:
        await control(gemini, faults=[{"kind": kind}])
        assert chat.invoke(ASKED).response_metadata["finish_reason"] == reason

    async def test_a_blocked_prompt_has_feedback(
        self, chat: ChatGoogleGenerativeAI, gemini: str
    ) -> None:
        await control(gemini, scenario="safety-block")
        said = chat.invoke(ASKED)
        assert said.text == ""
        assert said.response_metadata["prompt_feedback"]["block_reason"]

    async def test_a_retired_model_is_404_and_another_answers(
        self, chat: ChatGoogleGenerativeAI, gemini: str
    ) -> None:
        await control(gemini, scenario="retired-model")
        with pytest.raises(Exception, match="404"):
            chat.invoke(ASKED)
        async with opened("gemini-3.8-pro") as other:
            assert other.invoke(ASKED).text

    @pytest.mark.parametrize("kind", ["unavailable", "internal"])
    async def test_server_errors(
        self, chat: ChatGoogleGenerativeAI, gemini: str, kind: str
    ) -> None:
        await control(gemini, faults=[{"kind": kind, "times": 1}])
        with pytest.raises(Exception, match="50[03]"):
            chat.invoke(ASKED)


class TestGoogleGenai:
    @pytest.fixture
    async def client(self, gemini: str, version: str) -> AsyncIterator[genai.Client]:
        options = types.HttpOptions(base_url=gemini, api_version=version)
        client = genai.Client(api_key="simulated", http_options=options)
        yield client
        await closed(client)

    async def test_models_and_tokens(self, client: genai.Client) -> None:
        names = [model.name for model in client.models.list()]
        assert "models/gemini-3.8-flash" in names
        assert "SIMULATED" in str(client.models.get(model="gemini-3.8-flash").display_name)
        counted = client.models.count_tokens(model="gemini-3.8-flash", contents="x" * 400)
        assert counted.total_tokens == 100

    async def test_generate_stream_and_schema(self, client: genai.Client) -> None:
        config = types.GenerateContentConfig(
            system_instruction="Compare with the request.", response_schema=Marks
        )
        said = client.models.generate_content(
            model="gemini-3.8-flash", contents=fence("code", "pass"), config=config
        )
        assert Marks.model_validate_json(said.text or "").correctness < 0.3
        stream = await client.aio.models.generate_content_stream(
            model="gemini-flash-latest", contents=fence("request", REQUEST)
        )
        chunks = [chunk async for chunk in stream]
        assert len(chunks) > 1
        assert "".join(chunk.text or "" for chunk in chunks)
        assert chunks[-1].usage_metadata is not None

    @pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-2.5-flash", "gemini-9"])
    async def test_a_model_that_is_not_there(self, client: genai.Client, model: str) -> None:
        with pytest.raises(errors.ClientError) as caught:
            client.models.generate_content(model=model, contents="x")
        assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")

    async def test_an_unknown_model_is_unknown_to_the_version_that_was_asked(
        self, client: genai.Client, version: str
    ) -> None:
        with pytest.raises(errors.ClientError, match=rf"API version {version},"):
            client.models.get(model="gemini-9")


class TestWire:
    async def test_a_key_is_needed(self, http: httpx.AsyncClient) -> None:
        async with httpx.AsyncClient(base_url=http.base_url) as bare:
            missing = await bare.post(f"{FLASH}:generateContent", json=body())
            named = await bare.post(f"{FLASH}:generateContent?key=k", json=body())
        wrong = await http.get("/models", headers={"x-goog-api-key": "invalid"})
        assert (missing.status_code, missing.json()["error"]["status"]) == (
            403,
            "PERMISSION_DENIED",
        )
        assert named.status_code == 200
        assert wrong.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"contents": []}', b'"x"'])
    async def test_bad_bodies_are_400(self, http: httpx.AsyncClient, content: bytes) -> None:
        said = await http.post(f"{FLASH}:generateContent", content=content)
        assert (said.status_code, said.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")

    async def test_odd_text_is_answered(self, http: httpx.AsyncClient) -> None:
        for text in ("\ud800", "\x00", "", "(" * 100_000, "é" * 50_000):
            asked = json.dumps(body(fence("code", text) + text))
            said = await http.post(f"{FLASH}:generateContent", content=asked)
            assert said.status_code == 200, text[:10]

    async def test_max_output_tokens_cuts(self, http: httpx.AsyncClient) -> None:
        asked = body(generationConfig={"maxOutputTokens": 5})
        said = (await http.post(f"{FLASH}:generateContent", json=asked)).json()["candidates"][0]
        assert said["finishReason"] == "MAX_TOKENS"
        assert len(said["content"]["parts"][0]["text"]) == 20

    @pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent?alt=sse"])
    async def test_a_cut_stream_breaks_off(
        self, http: httpx.AsyncClient, gemini: str, method: str
    ) -> None:
        await control(gemini, scenario="cut-stream")
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(f"{FLASH}:{method}", json=body())

    async def test_bodies_that_are_no_json(self, http: httpx.AsyncClient, gemini: str) -> None:
        await control(gemini, scenario="invalid-body")
        said = await http.post(f"{FLASH}:generateContent", json=body())
        assert said.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            said.json()

    @pytest.mark.parametrize("kind", ["invalid-json", "empty", "babble"])
    async def test_structured_answers_can_be_broken(
        self, http: httpx.AsyncClient, gemini: str, kind: str
    ) -> None:
        await control(gemini, faults=[{"kind": kind, "persona": "judge"}])
        config = {"responseJsonSchema": Marks.model_json_schema()}
        said = await http.post(f"{FLASH}:generateContent", json=body(generationConfig=config))
        parts = said.json()["candidates"][0]["content"].get("parts", [{"text": ""}])
        with pytest.raises(json.JSONDecodeError):
            json.loads(parts[0]["text"])
        other = await http.post(f"{FLASH}:generateContent", json=body())
        assert "def slugify" in str(other.json())

    async def test_slow_and_latency(self, http: httpx.AsyncClient, gemini: str) -> None:
        await control(gemini, latency_seconds=0.2, faults=[{"kind": "slow", "seconds": 0.2}])
        start = time.monotonic()
        await http.post(f"{FLASH}:generateContent", json=body())
        assert time.monotonic() - start >= 0.4

    async def test_a_call_costs_little(self, http: httpx.AsyncClient) -> None:
        await http.post(f"{FLASH}:generateContent", json=body())
        start = time.monotonic()
        for _ in range(50):
            await http.post(f"{FLASH}:generateContent", json=body())
        # The machine may be busy, and the client costs as much again; 40 ms would be Nagle's.
        assert (time.monotonic() - start) / 50 < 0.03
