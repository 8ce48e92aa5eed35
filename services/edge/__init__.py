"""The edge: HTTP in, frames out.

Stateless. It knows keys and models from snapshots, spends allowances that metering leased to it, publishes each
request as a job and relays the frames of its answer to the client. It holds no upstream secret and no database;
any number of edges stand side by side behind a load balancer.
"""
