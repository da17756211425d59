"""How long a test waits before it calls something hung."""

from __future__ import annotations

HANG_SECONDS = 180.0
"""A guard against hanging only, generous enough for a machine that is busy with other things. What measures time is
a benchmark."""
