"""What happens in the demo household by itself, and scenarios on request."""
