"""Events in, committed changes out: `loop.py` is the product on one screen."""
