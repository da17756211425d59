"""An embedded Plex server with a simulated household, for newcomers and for tests; never started unless asked for."""

from plex_companion.demo.demo_server import Demo
from plex_companion.demo.household.built_in import build_household
from plex_companion.demo.household.json_file import load_household
from plex_companion.demo.household.model import Household
from plex_companion.demo.household.neighbours import build_households
from plex_companion.demo.serve import open_demo, serve_demo
from plex_companion.demo.simulation.scenarios import list_scenarios

__all__ = [
    "Demo",
    "Household",
    "build_household",
    "build_households",
    "list_scenarios",
    "load_household",
    "open_demo",
    "serve_demo",
]
