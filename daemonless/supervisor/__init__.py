"""The process that outlives the command: one per container."""
