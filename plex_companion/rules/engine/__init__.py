"""The engine of rules: it judges committed occurrences and records what fires, once, whatever ends when."""
