"""The only place that touches the outside: settings, clock, tasks, NATS, HTTP plumbing, logs, metrics, shutdown."""
