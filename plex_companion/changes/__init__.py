"""The meaning of events: `changes_for` in `derive.py` decides, and alters nothing."""
