"""Rules: when something happens, and only if, then do. Parsed, explained, judged and tested on the past; pure."""
