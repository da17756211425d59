"""What tools and resources may use."""

from __future__ import annotations


class Companion:
    """..."""
