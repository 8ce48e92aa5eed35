"""Ids, the clock interface, limits, the error vocabulary and money: what every other layer stands on."""
