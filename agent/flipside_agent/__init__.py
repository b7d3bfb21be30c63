"""The agent: an installer whose whole life is one state machine with a journal."""
