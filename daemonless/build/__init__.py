"""daemonless build: from a Dockerfile and a context to an image."""
