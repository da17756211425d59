"""MCP prompts: frequent questions, with the shortest way to an answer."""
