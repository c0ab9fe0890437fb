"""The command line: one Typer declaration per command, and the parse table compiled from them."""
