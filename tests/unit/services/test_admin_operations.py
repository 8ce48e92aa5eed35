"""The table of the admin API's operations, and that the console's routes are these and no others."""

import re
from collections import Counter
from unittest.mock import Mock

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from services.console.app import Console
from tests.support.console import settings
from trunkline.policy.access import Access
from trunkline.policy.admin_api import PREFIX
from trunkline.policy.operations import ALL, BY_ID, PARTS
from trunkline.policy.operations.operation import JSON, Operation
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.process import Process
from trunkline.runtime.tasks import TaskSet

OF_ACCOUNTS = {access for access in Access if access not in {Access.PUBLIC, Access.SIGNED_IN, Access.OPERATOR}}

every_operation = pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation.id)


@pytest.fixture
async def routes() -> list[web.AbstractRoute]:
    """The routes of a console that was wired together and never started: it has touched no socket."""
    process = Process("console", "console-1", 1, SystemClock(), TaskSet(), Mock(), CollectorRegistry())
    console = Console(process, settings("postgresql://nowhere", TRUNKLINE_STATUS_GROUPS="default"), Mock())
    console._resolver.close()
    # aiohttp adds a HEAD to each GET.
    return [route for route in console._runner.app.router.routes() if route.method != "HEAD"]


def test_every_route_of_the_admin_api_is_an_operation_that_is_bound_once(routes: list[web.AbstractRoute]) -> None:
    bound = Counter()
    for route in routes:
        assert route.resource is not None
        if route.resource.canonical.startswith("/admin"):
            assert route.resource.name in BY_ID, route.resource.canonical
            operation = BY_ID[route.resource.name]
            written = re.sub(r":[^}]*", "", PREFIX + operation.path)
            assert (route.method, route.resource.canonical) == (operation.method, written)
            bound[operation.id] += 1
        else:
            assert getattr(route.handler, "public", False), route.resource.canonical
    assert bound == Counter(operation.id for operation in ALL)


def test_ids_and_routes_name_one_operation_each() -> None:
    assert len(BY_ID) == len(ALL)
    routes = Counter((operation.method, re.sub(r"\{[^}]*\}", "{}", operation.path)) for operation in ALL)
    assert [route for route, count in routes.items() if count > 1] == []
    assert len({part.__name__ for part in PARTS}) == len(PARTS)


@every_operation
def test_an_operation_is_well_formed(operation: Operation) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation.id)
    assert re.fullmatch(r"(/([a-z_.-]+|\{[a-z_]+(:[^{}]+)?\}))+", operation.path)
    assert len(set(operation.places)) == len(operation.places)
    assert operation.summary.endswith(".")
    assert (operation.answer is None) or operation.status != 204
    assert operation.changes or (operation.body is None and operation.shows is None)
    assert operation.body is not None or not operation.body_optional
    assert operation.media == JSON or operation.status == 200
    names = [parameter.name for parameter in operation.query]
    assert len(set(names)) == len(names)


@every_operation
def test_what_is_about_an_account_names_it_and_needs_an_access_to_it(operation: Operation) -> None:
    if operation.access in OF_ACCOUNTS:
        # Who may is decided by this place of the path.
        assert operation.path.startswith("/accounts/{account}")
    if "account" in operation.places:
        assert operation.path.startswith("/accounts/{account}")
        assert operation.access in OF_ACCOUNTS | {Access.OPERATOR}


@every_operation
def test_what_is_changed_is_shown_by_a_reader_of_the_same_place(operation: Operation) -> None:
    if operation.shows is not None:
        reader = BY_ID[operation.shows]
        assert reader.method == "GET"
        assert set(reader.places) <= set(operation.places)
        assert reader.answer is not None
