"""From events to committed changes: `loop.py` is the product on one screen."""
