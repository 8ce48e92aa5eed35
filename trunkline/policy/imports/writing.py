"""Writes a configuration as the YAML that `trunkline apply` reads."""

from typing import Any

import yaml


class _PlainDumper(yaml.SafeDumper):
    """Writes each value where it stands: no reader has to look up an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def yaml_text(configuration: dict[str, Any]) -> str:
    """Return a configuration as YAML, in the order that it has."""
    return yaml.dump(configuration, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=120)
