"""The only room that knows SQLite: one connection that writes, two that may only read."""
