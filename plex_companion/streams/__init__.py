"""How an item reaches its player: names of codecs and resolutions, and why something is transcoded."""
