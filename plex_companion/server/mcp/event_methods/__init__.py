"""The methods `events/*` of MCP Events (SEP-3415), for protocol 2026-07-28."""
