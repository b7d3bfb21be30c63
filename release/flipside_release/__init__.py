"""The release desk: signing keys and signed bundles."""
