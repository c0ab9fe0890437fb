"""The model: requests, records, runtime specs, life cycle."""
