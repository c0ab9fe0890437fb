"""The model: requests, records, runtime specs, lifecycle."""
