"""What events mean: `changes_for` in `derive.py` decides, and alters nothing."""
