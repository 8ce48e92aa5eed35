"""Starts a console: ``python -m services.console``."""

from services.console.app import open_console
from services.console.config import ConsoleSettings
from trunkline.runtime import process

process.main("console", ConsoleSettings, open_console, ops_port=9105)
