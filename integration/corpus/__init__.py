"""Dockerfiles to build: each a small record with its context, its options and what must come of it."""
