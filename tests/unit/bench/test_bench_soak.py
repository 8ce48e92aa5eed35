"""What a soak makes of its samples."""

import os

import pytest

from bench import soak
from bench.processes import ProcessGoneError
from bench.soak import Sample, Soaked


def test_a_slope_is_that_of_the_samples_after_the_warm_up() -> None:
    sizes = [(0.0, 10.0), (60.0, 50.0), (120.0, 52.0), (180.0, 54.0), (240.0, 56.0)]
    found = soak.slopes([Sample(at, {"edge": size, "nats": 7.0}) for at, size in sizes], 60.0)
    assert found == {"edge": pytest.approx(2.0), "nats": 0.0}


@pytest.mark.parametrize(
    ("failures", "slope", "fault"),
    [
        ({}, 1.0, None),
        ({}, 1.01, "growing by more than 1 MiB a minute: edge"),
        ({"status 503": 1}, 0.0, "requests failed: {'status 503': 1}"),
    ],
)
def test_growth_and_failures_are_faults(failures: dict[str, int], slope: float, fault: str | None) -> None:
    assert Soaked(30.0, 1, failures, [], {"edge": slope}).fault() == fault


def test_memory_is_a_process_s_own_and_that_of_what_it_started() -> None:
    before = soak.own_mib(os.getpid())
    kept = bytearray(os.urandom(1024) * 32 * 1024)
    assert soak.own_mib(os.getpid()) > before + len(kept) / 1024**2 * 0.9
    with pytest.raises(ProcessGoneError):
        soak.own_mib(2**22 - 1)
