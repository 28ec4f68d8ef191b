"""What every command has: one way to refuse arguments, --version, completion in a shell."""
