"""Metering: usage events become ledger entries, and balances become allowances.

It consumes the stream USAGE, settles each batch in one Postgres transaction and acknowledges after the commit; any
number of replicas share the stream. It answers the edges' draws for allowances from the balances. While Postgres is
away it stays alive and not ready, the stream keeps the events, and edges go on within their grace.
"""
