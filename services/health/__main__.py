"""Starts one health process: ``python -m services.health``."""

from services.health.app import open_service
from services.health.config import OPS_PORT, HealthSettings
from trunkline.runtime import process

if __name__ == "__main__":
    process.main("health", HealthSettings, open_service, ops_port=OPS_PORT)
