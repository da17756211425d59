"""The log of committed transactions that several machines share, in PostgreSQL."""
