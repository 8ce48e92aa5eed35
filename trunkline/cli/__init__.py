"""`trunkline …`: a thin client of the admin API."""
