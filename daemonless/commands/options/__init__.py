"""Options that several commands share, by the panel of `--help` they stand in."""
