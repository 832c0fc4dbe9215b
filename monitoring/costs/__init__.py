"""What the hub costs, in BigQuery: the bill by label, and jobs by our own price list (README.md)."""
