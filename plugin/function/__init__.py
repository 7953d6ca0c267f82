"""The source of the function files. Open WebUI loads single files, so `plugin.bundle` puts these modules into each."""
