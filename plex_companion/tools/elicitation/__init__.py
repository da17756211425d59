"""Questions to the person in front of the client, beyond yes and no."""
