"""The console: the admin API, on a port of its own and with a key of its own.

It writes the configuration to Postgres and projects it to the KV buckets, in the same order, through the outbox; it
books credit that people and payments bring, and tells owners when it runs low. Any number of replicas answer requests;
one at a time projects. While Postgres is away it stays alive and not ready, answers 503, and recovers by itself; edges
and dispatchers go on with the snapshots that they hold.
"""
