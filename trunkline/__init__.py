"""Trunkline's shared library: everything the services have in common; no process lives here.

Layers, bottom up: ``core``, then ``protocol``, ``bus`` and ``policy`` (all pure), then ``runtime`` and
``store`` (the outside world), then ``cli`` and ``dev``. ``docs/architecture.md`` draws the picture.
"""
