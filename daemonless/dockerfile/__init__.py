"""Dockerfiles: text in, what to do out; no file is touched here."""
