"""The pages: one module for each, all in the frame of `dashboard/layout.py`."""
