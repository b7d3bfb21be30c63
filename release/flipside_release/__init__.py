"""The release desk: keys, signed bundles, and what is published to the fleet."""
