"""The weekly digest: a message about new titles, what was watched, and open alerts."""
