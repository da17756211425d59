"""From events to committed changes: `loop.py` is the main loop."""
