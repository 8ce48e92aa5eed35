"""The benchmark: ``python -m bench``, which is `make bench`. What it measures and how is in docs/performance.md."""
