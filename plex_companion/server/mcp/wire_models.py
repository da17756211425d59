"""Postpones the building of the SDK's wire models until each is first used.

The SDK checks messages against the models of their protocol version. It builds the 300 of both eras when it is imported,
a tenth of a start, and one client needs some twenty. `defer_build` is an option of pydantic, but the base class is a private
name of the SDK (mcp-types 2.3): without it, they are built at once. Takes effect if it is imported before `mcp`.
"""

from contextlib import suppress

with suppress(ImportError):
    from mcp_types._wire_base import WireModel

    WireModel.model_config["defer_build"] = True
