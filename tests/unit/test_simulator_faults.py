"""Faults: their format, and the calls that they apply to."""

from typing import Any

import pytest

from selfheal.simulator.bank import load_bank
from selfheal.simulator.call import BadRequestError, Call, parse_call
from selfheal.simulator.faults import Fault, FaultError, parse_fault
from selfheal.simulator.scenarios import SCENARIOS
from selfheal.simulator.state import State


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (3, "must be an object"),
        ({}, "no fault of kind None"),
        ({"kind": "earthquake"}, "kinds: rate-limit"),
        ({"kind": "empty", "who": "worker"}, "has no `who`"),
        ({"kind": "empty", "persona": "cook"}, "personas: worker"),
        ({"kind": "empty", "times": 1.5}, "`times` must be a whole number"),
        ({"kind": "empty", "of": 0}, "`of` must be"),
        ({"kind": "empty", "probability": "often"}, "`probability` must be a number"),
        ({"kind": "slow", "seconds": -1}, "`seconds` must be"),
    ],
)
def test_a_wrong_description_is_refused_with_a_sentence(row: object, says: str) -> None:
    with pytest.raises(FaultError) as caught:
        parse_fault(row)
    assert says in str(caught.value)


def strikes(row: dict[str, Any], persona: str = "worker", calls: int = 6) -> list[bool]:
    fault = parse_fault(row)
    return [fault.strikes(persona, "gemini-3.8-flash", draw=0.5) for _ in range(calls)]


def test_a_fault_strikes_whom_it_is_for_and_as_often_as_it_says() -> None:
    assert strikes({"kind": "empty"}) == [True] * 6
    assert strikes({"kind": "empty", "times": 2}) == [True, True, False, False, False, False]
    assert strikes({"kind": "empty", "first": 1, "of": 3}) == [True, False, False] * 2
    assert strikes({"kind": "empty", "persona": "judge"}) == [False] * 6
    assert strikes({"kind": "empty", "model": "gemini-3.8-pro"}) == [False] * 6
    assert strikes({"kind": "empty", "probability": 0.4}) == [False] * 6
    assert strikes({"kind": "empty", "probability": 0.6}) == [True] * 6


def test_calls_of_others_do_not_use_a_fault_up() -> None:
    fault = Fault("empty", persona="judge", times=1)
    assert not fault.strikes("worker", "m", 0.0)
    assert fault.strikes("judge", "m", 0.0)
    assert not fault.strikes("judge", "m", 0.0)


def test_a_scenario_begins_anew_when_it_is_chosen_or_reset() -> None:
    state = State(load_bank(), "rate-limit")
    call = Call("gemini-3.8-flash", "", "x")
    pattern = [state.next_fault(call) is not None for _ in range(4)]
    assert pattern == [True, False, False, True]
    state.change({"scenario": "rate-limit"})
    assert state.next_fault(call) is not None
    state.reset()
    assert state.next_fault(call) is not None


def test_probable_faults_depend_on_the_call_and_its_repetition_alone() -> None:
    calls = [Call("gemini-3.8-flash", "", f"request {number}") for number in range(200)]

    def struck(order: list[Call]) -> dict[str, bool]:
        state = State(load_bank(), seed=3)
        state.change({"faults": (Fault("unavailable", probability=0.3),)})
        return {call.text: state.next_fault(call) is not None for call in order}

    forth = struck(calls)
    assert forth == struck(calls[::-1])
    assert 40 <= sum(forth.values()) <= 80


def test_every_scenario_says_what_it_is() -> None:
    assert all(scenario.about.endswith(".") for scenario in SCENARIOS.values())


@pytest.mark.parametrize(
    "body", [None, [], {}, {"contents": []}, {"contents": "x"}, {"contents": None}]
)
def test_a_body_without_contents_is_refused(body: object) -> None:
    with pytest.raises(BadRequestError):
        parse_call("m", body)


def test_odd_bodies_are_borne_with() -> None:
    call = parse_call(
        "m",
        {
            "contents": ["x", {"parts": [3, {"text": 4}, {"text": "yes"}]}, {"role": "model"}],
            "generationConfig": [],
            "toolConfig": "none",
            "systemInstruction": "plain",
        },
    )
    assert (call.text.strip(), call.system, call.schema) == ("yes", "", None)


def test_noise_does_not_see_nonces_and_ids() -> None:
    def text(nonce: str, run: str) -> str:
        return f'<data id="{nonce}" of="request">\nrun {run}\n</data id="{nonce}">'

    one = Call("m", "", text("0123456789abcdef", "7f9c24e8-3b12-4fef-91e0-9a3c5b2d1e00"))
    two = Call("m", "", text("fedcba9876543210", "11111111-3b12-4fef-91e0-9a3c5b2d1e01"))
    assert one.stable_text == two.stable_text
    assert one.blocks.keys() == {"request"}


def test_only_a_block_that_its_own_nonce_closes_is_a_block() -> None:
    forged = '<data id="a1" of="request">\nx\n</data id="b2">\ny\n</data id="a1">'
    assert Call("m", "", forged).blocks == {"request": 'x\n</data id="b2">\ny'}
