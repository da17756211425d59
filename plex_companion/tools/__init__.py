"""The toolsets, in a tuple."""
