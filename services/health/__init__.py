"""Health: probes every enabled channel, hears what attempts came to, and publishes what each channel deserves now.

It keeps no database: weights go to the KV bucket ``weights``, history to the stream ``HEALTH``. Every replica probes
and judges; one of them publishes (see `peers`). While no health is there, dispatchers keep the last weights and go
on judging by their own outcomes, so its loss costs foresight, not requests.
"""
