"""The people's door: the function files that Open WebUI loads, and what installs them there. It speaks HTTP only."""
