"""MCP over stdio, SSE and Streamable HTTP, for both protocol eras: legacy (up to 2025-11-25) and modern (2026-07-28). Only this package imports the SDK."""

from plex_companion.server.mcp import wire_models as wire_models  # before anything that imports the SDK
