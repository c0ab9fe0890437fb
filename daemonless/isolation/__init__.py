"""From an OCI runtime spec to execve: namespaces, mounts, privileges, network. Standard library only."""
