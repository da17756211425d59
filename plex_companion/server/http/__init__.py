"""The HTTP application in front of everything."""
