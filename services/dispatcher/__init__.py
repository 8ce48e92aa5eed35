"""The dispatcher: holds the upstream connections, relays chunks.

It takes jobs from its lanes, plans attempts from the channel and weight snapshots, calls providers, and sends
their answers as frames to the job's edge. It is the only one that opens credentials for traffic. What each attempt
used goes to metering as usage events; how each went goes to health.
"""
