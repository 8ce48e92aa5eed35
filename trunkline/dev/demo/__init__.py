"""The demo upstream: a provider that speaks every dialect, obeys scripts, and counts what it reports.

It shares no code with the gateway's readers and writers, so that a bug cannot hide in both. `upstream` is the process.
"""
