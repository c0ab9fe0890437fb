"""Names, manifests and blobs on disk; moving images in and out."""
