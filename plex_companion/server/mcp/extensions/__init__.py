"""MCP extensions that the server declares."""
