"""The language of Dockerfiles: parsed, expanded, checked and turned into steps; no I/O."""
