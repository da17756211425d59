"""Activity of the demo household: simulated viewers, background activity, and scenarios on request."""
