"""Decisions as pure functions of data and `now`: keys, pricing, routing, breaker."""
