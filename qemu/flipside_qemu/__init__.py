"""Devices that do not exist: images, virtual machines, consoles, power cuts and the demo."""
