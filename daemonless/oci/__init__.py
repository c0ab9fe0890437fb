"""The vocabulary of the OCI specifications as data."""
