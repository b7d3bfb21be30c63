"""What differs between boards: what this machine is, who it is, and which slot it runs from."""
