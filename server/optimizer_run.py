"""One claimed run of the optimizer: a pass, asked for over the wire."""

from typing import Any

from db.claims import Claim
from db.runs import Finish
from graph.errors import RunError
from optimizer.context import Doctor
from optimizer.passes import Optimizer
from optimizer.state import Trigger
from server.agent_run import Ended
from server.plain import loads
from server.tape import Tape


class OptimizerRun:
    """Makes passes for claims. A healing under way is resumed by whoever comes next."""

    def __init__(self, doctor: Doctor) -> None:
        self._doctor = doctor

    async def perform(self, claim: Claim, tape: Tape) -> Ended:
        """Make a pass, telling of its states on the tape.

        Raises:
            DatabaseError: Postgres cannot be reached.
        """
        modes = claim.kwargs.get("stream_mode") or ()
        given = claim.kwargs.get("input") or {}

        def watch(state: str, found: dict[str, Any]) -> None:
            if "updates" in modes:
                tape.tell("updates", {state: found})

        trigger = Trigger(trigger="request", forced=bool(given.get("force")))
        if agent := given.get("agent"):
            trigger["agent"] = agent
        try:
            result = dict(await Optimizer(self._doctor, watch).run(trigger))
        except RunError as error:
            return Ended(Finish(error.outcome, str(error)))
        if "values" in modes:
            tape.tell("values", result)
        await tape.flush()
        return Ended(Finish("ok", output=loads(result)), loads(result))
