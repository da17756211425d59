"""The libraries in rows: what reads them from Plex and keeps them true, and what answers questions about them offline."""
