"""What several boards have in common."""

from deploy.grafana.builder import Panel, Row, Unit, Variable


def instances(role: str) -> Variable:
    """Return the choice among the processes of a role; ``.*`` for several, as a pattern."""
    return Variable("instance", "Process", f'label_values(trunkline_ready{{job=~"{role}"}}, instance)')


def process_row(role: str) -> Row:
    """Return what each process of a role uses of its machine.

    Args:
        role: its name, or a pattern for several.
    """
    chosen = f'job=~"{role}", instance=~"$instance"'
    return Row(
        "Processes",
        (
            Panel(
                title="CPU",
                description="Cores used by each process; one is all that it can use.",
                unit=Unit.COUNT,
                queries={"{{job}} {{instance}}": f"rate(process_cpu_seconds_total{{{chosen}}}[$__rate_interval])"},
            ),
            Panel(
                title="Memory",
                description="Resident memory of each process.",
                unit=Unit.BYTES,
                queries={"{{job}} {{instance}}": f"process_resident_memory_bytes{{{chosen}}}"},
            ),
            Panel(
                title="Files and sockets",
                description="Part of what each process may have open.",
                unit=Unit.SHARE,
                queries={
                    "{{job}} {{instance}}": f"process_open_fds{{{chosen}}} / process_max_fds{{{chosen}}}",
                },
            ),
        ),
    )


def per_second(metric: str, chosen: str = "", by: str = "") -> str:
    """Return the rate of a counter, summed over the processes.

    Args:
        metric: its name, with ``_total``.
        chosen: matchers of labels.
        by: labels that are kept apart.
    """
    grouped = f"sum by ({by}) " if by else "sum"
    matchers = f"{{{chosen}}}" if chosen else ""
    return f"{grouped}(rate({metric}{matchers}[$__rate_interval]))"


def quantile(percent: int, histogram: str, chosen: str, by: str = "") -> str:
    """Return what so many percent of a histogram's values are below; arguments as for `per_second`."""
    kept = f"{by}, le" if by else "le"
    rate = f"rate({histogram}_bucket{{{chosen}}}[$__rate_interval])"
    return f"histogram_quantile({percent / 100:g}, sum by ({kept}) ({rate}))"
