"""The commands: pegasus-summarize, -classify, -answer, -features, -generate, and pegasus-edge."""
