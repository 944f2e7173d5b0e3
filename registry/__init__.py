"""Container registries and images as bytes: OCI distribution, OCI layouts, archives. Usable from a Python prompt."""
