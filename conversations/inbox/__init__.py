"""The inbox: where teammates see who needs them, answer, and work on tickets."""
