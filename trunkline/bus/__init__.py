"""What crosses from one process to another: subjects, frames, flow control and messages. Pure.

``docs/bus-protocol.md`` describes the contract in prose; `frames` is the wire format, `edge_job` and
`dispatch_job` are the two ends of one job as state machines, `messages` and `snapshots` are the structs.
"""
