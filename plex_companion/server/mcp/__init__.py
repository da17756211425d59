"""The MCP server: both protocol eras, subscriptions, stdio."""
