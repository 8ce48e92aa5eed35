"""Starts metering: ``python -m services.metering``."""

from services.metering.app import open_metering
from services.metering.config import MeteringSettings
from trunkline.runtime import process

process.main("metering", MeteringSettings, open_metering, ops_port=9103)
