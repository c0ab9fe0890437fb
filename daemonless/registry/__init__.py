"""A distribution-spec client; usable without the rest of daemonless."""
