"""What each command does, given parsed parameters; imports only what that command uses."""
