"""What plays, and what happens, for Home Assistant: published to an MQTT broker."""
