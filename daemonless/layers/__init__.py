"""Layer tar streams to directories and directories to overlay mounts."""
