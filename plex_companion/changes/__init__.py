"""What an event means: `changes_for` decides, and touches nothing."""
