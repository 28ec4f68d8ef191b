"""The commands: pegasus-summarize, -classify, -answer, -features and -generate."""
