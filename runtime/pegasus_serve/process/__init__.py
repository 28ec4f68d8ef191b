"""The server as a process: its command line, connections, signals and end."""
