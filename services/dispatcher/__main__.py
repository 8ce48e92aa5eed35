"""Starts a dispatcher: ``python -m services.dispatcher``."""

from services.dispatcher.app import open_dispatcher
from services.dispatcher.config import DispatcherSettings
from trunkline.runtime import process

process.main("dispatcher", DispatcherSettings, open_dispatcher, ops_port=9102)
