"""Where a process touches the world: arguments in, library call, heartbeat, errors into the taxonomy, small result."""
