"""The commands: pegasus-summarize, pegasus-classify and pegasus-answer."""
