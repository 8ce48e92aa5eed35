"""What `make sbom` makes, by the program that it runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


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
    assert {component["name"] for component in components} == set(
        re.findall(r"^([a-z0-9-]+)==", (ROOT / installed).read_text(), re.MULTILINE)
    )
    for component in components:
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
        (distribution,) = component["externalReferences"]
        assert {entry["alg"] for entry in distribution["hashes"]} == {"SHA-256"}
