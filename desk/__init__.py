"""The front desk: what every front end (command line, web, demo) does. It stores content first, then sends commands."""
