"""Where images come from and go to besides the store: registries, layouts, archives, directories."""
