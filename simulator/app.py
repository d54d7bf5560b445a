"""The HTTP application: Gemini's routes and the control endpoint."""

import asyncio
import json
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from selfheal.simulator import wire
from selfheal.simulator.call import BadRequestError, Call, parse_call
from selfheal.simulator.control import control_routes
from selfheal.simulator.replies import reply
from selfheal.simulator.scenarios import RETIRED
from selfheal.simulator.state import State

# The versions of the API that Gemini serves. The client chooses: google-genai uses v1beta before
# its release 3, and v1 since.
VERSIONS = ("v1", "v1beta", "v1alpha")
_NO_KEY = (
    "Method doesn't allow unregistered callers (callers without established identity). Please use "
    "API Key or other form of API consumer identity to call this API."
)
_BAD_KEY = "API key not valid. Please pass a valid API key."
_BAD_KEY_INFO = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
}


def create_app(state: State) -> Starlette:
    """Return the application for a state."""
    app = Starlette(
        routes=[
            *(route for version in VERSIONS for route in _model_routes(version)),
            *control_routes(),
        ],
        exception_handlers={Exception: _broken},
    )
    app.state.simulated = state
    return app


def _model_routes(version: str) -> tuple[Route, ...]:
    return (
        Route(f"/{version}/models", _list_models),
        Route(f"/{version}/models/{{model}}", _get_model),
        Route(f"/{version}/models/{{model}}:{{method}}", _call_model, methods=["POST"]),
    )


def _failed(code: int, message: str, *details: wire.Json) -> JSONResponse:
    return JSONResponse(wire.error(code, message, *details), code)


async def _broken(_: Request, error: Exception) -> Response:
    return _failed(500, f"The SIMULATED Gemini itself failed: {error!r}")


def _refused(request: Request) -> Response | None:
    key = request.headers.get("x-goog-api-key") or request.query_params.get("key")
    if not key:
        return _failed(403, _NO_KEY)
    return _failed(400, _BAD_KEY, _BAD_KEY_INFO) if key == "invalid" else None


def _unknown_model(request: Request, model: str, method: str) -> Response | None:
    state: State = request.app.state.simulated
    if model in state.scenario_definition.models:
        return None
    version = request.url.path.split("/")[1]
    gone = model in RETIRED
    return _failed(404, wire.gone(model) if gone else wire.unknown(model, version, method))


async def _list_models(request: Request) -> Response:
    state: State = request.app.state.simulated
    cards = [wire.model_card(name) for name in state.scenario_definition.models]
    return _refused(request) or JSONResponse({"models": cards})


async def _get_model(request: Request) -> Response:
    model = request.path_params["model"]
    refused = _refused(request) or _unknown_model(request, model, "getModel")
    return refused or JSONResponse(wire.model_card(model))


async def _call_model(request: Request) -> Response:
    state: State = request.app.state.simulated
    model, method = request.path_params["model"], request.path_params["method"]
    refused = _refused(request) or _unknown_model(request, model, method)
    if refused:
        return refused
    try:
        call = parse_call(model, _for_counting(json.loads(await request.body()), method))
    except json.JSONDecodeError:
        return _failed(400, "Invalid JSON payload received. Unexpected token.")
    except BadRequestError as error:
        return _failed(400, str(error))
    if method == "countTokens":
        return JSONResponse({"totalTokens": wire.tokens(call.system + call.text)})
    if method not in {"generateContent", "streamGenerateContent"}:
        return _failed(404, f"Method not found: {method}")
    return await _generate(call, state, streamed=method.startswith("stream"))


def _for_counting(body: object, method: str) -> object:
    wrapped = body.get("generateContentRequest") if isinstance(body, dict) else None
    return wrapped or body if method == "countTokens" else body


async def _generate(call: Call, state: State, *, streamed: bool) -> Response:
    fault = state.next_fault(call)
    state.count_call(call.persona, fault.kind if fault else "ok")
    delay = state.latency_seconds + (fault.seconds if fault and fault.kind == "slow" else 0.0)
    if delay:
        await asyncio.sleep(delay)
    given = reply(call, state, fault)
    if given.status != 200:
        return JSONResponse(given.whole, given.status)
    kind = "text/event-stream" if streamed else "application/json"
    chunks = given.events(call) if streamed else [given.plain()]
    if given.cut:
        return CutResponse(chunks, kind)
    return Response(b"".join(chunks), media_type=kind)


class CutResponse(Response):
    """A response whose connection is closed before its end."""

    def __init__(self, chunks: Sequence[bytes], media_type: str) -> None:
        super().__init__(b"".join(chunks), media_type=media_type)
        self._first = chunks[0] if len(chunks) > 1 else chunks[0][: len(chunks[0]) // 2]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the head, with the length of the whole body, and the first part of the body."""
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
