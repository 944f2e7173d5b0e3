"""The schema's history. It ships inside the package, so that an installed program can upgrade its database."""
