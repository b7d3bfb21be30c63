"""Boot control: which slot boots next, how many attempts it has left, and who says it is good."""

__version__ = "0.1.0"
