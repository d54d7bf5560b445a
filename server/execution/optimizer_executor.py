"""One claimed run of the optimizer: a pass, asked for over the wire."""

from selfheal.app.errors import RunError
from selfheal.db.claims import Claim
from selfheal.db.runs import Finish
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.runner import Optimizer
from selfheal.optimizer.state import State, Trigger
from selfheal.optimizer.wording import shown_result
from selfheal.server.execution.agent_executor import Ended
from selfheal.server.execution.event_writer import Tape
from selfheal.server.serialization import loads


class OptimizerRun:
    """Makes passes for claims. A healing under way is resumed by whoever comes next."""

    def __init__(self, doctor: OptimizerContext) -> None:
        self._doctor = doctor

    async def perform(self, claim: Claim, tape: Tape) -> Ended:
        """Make a pass, telling of its states on the tape.

        Raises:
            DatabaseError: Postgres cannot be reached.
        """
        modes = claim.kwargs.get("stream_mode") or ()
        given = claim.kwargs.get("input") or {}

        def watch(state: str, found: State) -> None:
            if "updates" in modes:
                tape.tell("updates", {state: found})

        trigger = Trigger(trigger="request", forced=bool(given.get("force")))
        if agent := given.get("agent"):
            trigger["agent"] = agent
        try:
            result = shown_result(await Optimizer(self._doctor, watch).run(trigger))
        except RunError as error:
            return Ended(Finish(error.outcome, str(error)))
        if "values" in modes:
            tape.tell("values", result)
        await tape.flush()
        return Ended(Finish("ok", output=loads(result)), loads(result))
