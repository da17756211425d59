"""Messages to people: from the outbox to targets of notifications, through Apprise."""
