"""MCP over stdio, SSE and Streamable HTTP, in both protocol eras; the only room that imports the SDK."""
