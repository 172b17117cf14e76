"""What an agent is, what it knows, how it thinks."""
