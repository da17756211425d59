"""The resources, in a tuple; what a change touches and what a URI reads derive from it."""
