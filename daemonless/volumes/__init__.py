"""Volumes: directories of data that outlive the containers they are mounted in."""
