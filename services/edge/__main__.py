"""Starts an edge: ``python -m services.edge``."""

from services.edge.app import open_edge
from services.edge.config import EdgeSettings
from trunkline.runtime import process

process.main("edge", EdgeSettings, open_edge, ops_port=9101)
