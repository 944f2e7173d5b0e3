"""Durable processes: deterministic, and written to be read as the business story."""
