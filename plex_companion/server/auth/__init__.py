"""Who may use the HTTP application."""
