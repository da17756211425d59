"""Answers about the past, in one shape for tools, resources and the command line."""
