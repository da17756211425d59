"""MCP Events beyond the protocol: webhooks of clients, and the feed of occurrences. Knows nothing of the MCP SDK."""
