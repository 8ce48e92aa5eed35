"""A real Prometheus for tests, with the rules of deploy/prometheus, and promtool: Debian's package has both."""

import json
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.promql import ROOT, RULES
from tests.support.servers import Server, free_port, server_directory

CONFIGURATION = ROOT / "deploy/prometheus/prometheus.yml"

INTERVAL = "500ms"
"""Between two scrapes, and two evaluations of each rule."""


def binary(name: str) -> str:
    """Return where a program of the package is."""
    found = shutil.which(name)
    assert found is not None, f"{name} is not installed: `make prometheus` does it"
    return found


class Prometheus(Server):
    """Scrapes processes as the one of docker-compose.yml does, only more often.

    Args:
        directory: for its data and its configuration.
        targets: addresses of ops ports, by role.
    """

    def __init__(self, directory: Path, targets: Mapping[str, Sequence[str]]) -> None:
        port = free_port()
        configuration = directory / "prometheus.yml"
        configuration.write_text(yaml.safe_dump(_configuration(directory, targets)))
        command = [binary("prometheus"), f"--config.file={configuration}", f"--storage.tsdb.path={directory / 'data'}"]
        super().__init__([*command, f"--web.listen-address=127.0.0.1:{port}"], port, directory / "prometheus.log", None)
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def query(self, query: str) -> list[dict[str, Any]]:
        """Return the series that a query has now.

        Raises:
            AssertionError: it is no valid query.
        """
        found: list[dict[str, Any]] = self._get("query", query=query)["result"]
        return found

    def choices(self, metric: str, label: str) -> list[str]:
        """Return the values of a label of a metric, as a variable of a board offers them."""
        found: list[str] = self._get(f"label/{label}/values", **{"match[]": metric})
        return found

    def groups(self) -> list[dict[str, Any]]:
        """Return the groups of rules with how each rule fares."""
        found: list[dict[str, Any]] = self._get("rules")["groups"]
        return found

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"{self._url}/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url) as answer:  # noqa: S310 - always http to the loopback
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error


def _configuration(directory: Path, targets: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    configuration: dict[str, Any] = yaml.safe_load(CONFIGURATION.read_text())
    configuration["global"].update(scrape_interval=INTERVAL, scrape_timeout=INTERVAL, evaluation_interval=INTERVAL)
    for job in configuration["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": list(targets[job["job_name"]])}]
    (directory / "rules").mkdir()
    for path in RULES.glob("*.yml"):
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            group["interval"] = INTERVAL
        (directory / "rules" / path.name).write_text(yaml.safe_dump(rules))
    return configuration


@contextmanager
def running_prometheus(targets: Mapping[str, Sequence[str]]) -> Iterator[Prometheus]:
    """Run one for the length of the block."""
    with server_directory("prometheus") as directory:
        server = Prometheus(directory, targets).start()
        try:
            yield server
        finally:
            server.stop()
