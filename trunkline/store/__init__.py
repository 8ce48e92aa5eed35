"""SQL: rows to structs and back. Only metering and console use it."""
