"""The MCP resources: one module per subject, and a registry from which reading and notifying derive."""
