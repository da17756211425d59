"""What an answer leads on to: work that goes on in Plex, and resources that show the same thing."""
