"""Between roles: who may call, and what is told beside the answer."""

import hmac
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import SecretStr

from selfheal.app.llm.usage import Usage
from selfheal.graph.remote import CALLS, INPUT_TOKENS, MODEL, OUTPUT_TOKENS
from selfheal.server.auth.api_keys import Admission, NotAuthenticatedError
from selfheal.server.auth.loopback import refuse_strangers


async def _check(request: Request, secret: str | None, scopes: Sequence[str]) -> None:
    """Let roles pass. Where no key is set for them, only this machine can call at all."""
    key: SecretStr | None = request.app.state.role_key
    if key is None:
        refuse_strangers(request)
    elif not _is(key, secret or ""):
        raise NotAuthenticatedError("roles call each other with their own key, SELFHEAL_ROLE_KEY")


def _is(key: SecretStr, given: str) -> bool:
    return hmac.compare_digest(given.encode(), key.get_secret_value().encode())


RoleOnly = Annotated[None, Depends(Admission(_check))]


def tell_cost(response: Response, usage: Usage, model: str = "") -> None:
    """Tell the caller what its answer cost."""
    response.headers[CALLS] = str(usage["calls"])
    response.headers[INPUT_TOKENS] = str(usage["input_tokens"])
    response.headers[OUTPUT_TOKENS] = str(usage["output_tokens"])
    if model:
        response.headers[MODEL] = model.encode("ascii", "replace").decode()
