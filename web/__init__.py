"""Web pages and the API. They never write what a workflow owns: they send an update and show what comes back."""
