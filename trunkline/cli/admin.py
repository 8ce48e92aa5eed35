"""Connects the commands to the admin API of a console."""

import importlib
from typing import TYPE_CHECKING

from trunkline.cli.settings import ConsoleAccess
from trunkline.runtime import config

if TYPE_CHECKING:
    from trunkline.cli.client import Client


def client_of(url: str, key: str, ca_path: str) -> "Client":
    """Return a client of a console; arguments as for `admin_client.AdminClient`."""
    # By name: all that its methods take and return takes longer to load than --help may.
    client: type[Client] = importlib.import_module("trunkline.cli.client").Client
    return client(url, key, ca_path)


def connect() -> "Client":
    """Return a client made from the settings.

    Raises:
        SettingsError: one is missing.
    """
    access = config.load(ConsoleAccess)
    return client_of(access.console_url, access.admin_key, access.console_ca_path)
