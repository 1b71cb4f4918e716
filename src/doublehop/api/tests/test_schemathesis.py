"""The whole document is tried by schemathesis, route by route and in sequences: no 500, nothing that the document does not say."""

from contextlib import suppress
from uuid import uuid4

import pytest
import schemathesis
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage

from doublehop.api import limits
from doublehop.api.limits import Counter
from doublehop.api.tests.calling import Program
from doublehop.notices.endpoints import EndpointForm, create_endpoint
from doublehop.organisations import throttle
from doublehop.organisations.actor import Scope
from doublehop.services.actions.supply import OfferForm, create_offer
from doublehop.services.tests.metering import a_statement

pytestmark = [pytest.mark.django_db, pytest.mark.long]

USUAL = {
    "deadline": None,
    "database": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
    "derandomize": False,
}
_HANDLER = WSGIHandler()
NOT_TOLD = [positive_data_acceptance]
"""A schema cannot say that a host name, an address or a date has to make sense: such values are refused with 422."""
FEW_EXAMPLES = 12
SEQUENCES = 30
LONGEST_SEQUENCE = 8
MOST_BEGINNINGS = 3


def in_process(environ, start_response):
    return _HANDLER({**environ, "REMOTE_ADDR": "127.0.0.1"}, start_response)


@pytest.fixture(autouse=True)
def one_connection():
    """As Django's own test client has it: on PostgreSQL the first request would end the test's transaction with its connection."""
    ends = (request_started, request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    yield
    for signal in ends:
        signal.connect(close_old_connections)


@pytest.fixture
def house(monkeypatch):
    """Small ids that are there are found again and again, so that not everything ends at 404."""
    cache.clear()
    monkeypatch.setattr(limits, "_COUNTER", Counter(10**9))
    # It tries wrong tokens too, more of them than anybody may.
    monkeypatch.setattr(throttle, "MOST_BY_SOURCE", 10**9)
    monkeypatch.setattr(throttle, "MOST_BY_CREDENTIAL", 10**9)
    cast = a_cast()
    stage = a_stage(cast.rosa)
    web, *_ = stage.machines("web", "spare", "third")
    product = a_product(cast.rosa, ways=["port"])
    service = a_service(cast.rosa, cast.quillfeather.pk, product, web)
    a_service(cast.rosa, cast.quillfeather.pk, product)
    a_statement(cast.rosa, service)
    create_offer(cast.ines, OfferForm(name="AX-64", price="71.00"))
    create_endpoint(cast.rosa, EndpointForm("https://hook.example/", kinds=["service.attached"]))
    program = Program(cast.rosa, *(scope.value for scope in Scope), billing_system="WHMCS")
    return {"Authorization": f"Bearer {program.text}"}


def not_told(case):
    """An object or a list in a query arrives as texts: nobody can tell that it was no text."""
    is_nested = any(isinstance(value, dict | list) for value in case.query.values())
    return [*NOT_TOLD, negative_data_rejection] if is_nested else NOT_TOLD


def load(auth):
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", in_process, headers=auth)


def headers_of(auth):
    """A key of its own for each request: what an earlier one left behind is not asked for again."""
    return {**auth, "Idempotency-Key": str(uuid4())}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_route_breaks_or_says_what_the_document_does_not(house, mode):
    failures = []
    for result in load(house).get_all_operations():
        operation = result.ok()

        @settings(max_examples=FEW_EXAMPLES, **USUAL)
        @given(case=operation.as_strategy(generation_mode=mode))
        def try_it(case):
            case.query.pop("fields", None)  # an answer cut down is not what the schema says
            case.call_and_validate(headers=headers_of(house), excluded_checks=not_told(case))

        try:
            try_it()
        except (Exception, FailureGroup) as failure:  # noqa: BLE001
            failures.append(f"{operation.label}: {getattr(failure, 'exceptions', failure)}")
    assert not failures, "\n\n".join(failures)


def test_no_sequence_of_calls_breaks(house):
    calls, failures = 0, []

    class Machine(load(house).as_state_machine()):
        def before_call(self, case):
            case.query.pop("fields", None)

        def get_call_kwargs(self, case):
            return {"headers": headers_of(house)}

        def validate_response(self, response, case, additional_checks=(), **more):
            nonlocal calls
            calls += 1
            try:
                case.validate_response(response, excluded_checks=not_told(case), headers=house)
            except (Exception, FailureGroup) as failure:  # noqa: BLE001
                failures.append(f"{case.operation.label}: {getattr(failure, 'exceptions', failure)}")

    for _ in range(MOST_BEGINNINGS):
        # What it learned from answers is in what it makes up next, and Hypothesis holds that for an unsteady strategy at times.
        with suppress(FlakyStrategyDefinition):
            Machine.run(
                settings=settings(max_examples=SEQUENCES, stateful_step_count=LONGEST_SEQUENCE, **USUAL),
            )
        if calls >= SEQUENCES:
            break
    assert not failures, "\n\n".join(failures)
    assert calls >= SEQUENCES
