"""An embedded Plex server with a simulated household: for newcomers, for tests, never reached unless asked for."""

from plex_companion.demo.demo_server import Demo, open_demo, serve_demo
from plex_companion.demo.household.model import Household
from plex_companion.demo.simulation.scenarios import list_scenarios

__all__ = ["Demo", "Household", "list_scenarios", "open_demo", "serve_demo"]
