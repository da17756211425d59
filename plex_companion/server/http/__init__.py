"""The HTTP application and the web server that serves it."""
