"""Settings that are printed, by a debugger, a log or an error, show no secret."""

import dataclasses

import pytest

from services.console.config import ConsoleSettings
from services.dispatcher.config import DispatcherSettings
from services.edge.config import EdgeSettings
from services.health.config import HealthSettings
from services.metering.config import MeteringSettings
from trunkline.cli.settings import BusAccess, ConsoleAccess, DatabaseAccess, DoctorAccess, EdgeAccess

SETTINGS = (
    *(ConsoleSettings, DispatcherSettings, EdgeSettings, HealthSettings, MeteringSettings),
    *(BusAccess, ConsoleAccess, DatabaseAccess, DoctorAccess, EdgeAccess),
)


@pytest.mark.parametrize("settings", SETTINGS)
def test_secrets_are_not_shown(settings: type) -> None:
    fields = dataclasses.fields(settings)
    shown = {field.metadata["declaration"].name for field in fields if field.repr}
    secret = {field.metadata["declaration"].name for field in fields if field.metadata["declaration"].secret}
    assert secret
    assert not shown & secret
