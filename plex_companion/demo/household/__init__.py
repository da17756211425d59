"""What the demo household owns."""
