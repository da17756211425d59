"""The HTTP interface for people and their own programs: the page, its pictures, the feed, the resources as plain JSON."""
