"""Authentication and authorization for the HTTP application."""
