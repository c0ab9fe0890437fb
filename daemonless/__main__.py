"""Start of every command."""
