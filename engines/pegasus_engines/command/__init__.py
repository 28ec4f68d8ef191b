"""The command pegasus-build: what it is told, what it does, what it prints."""
