"""MCP over stdio, SSE and Streamable HTTP, in both protocol eras. Only this package imports the SDK."""
