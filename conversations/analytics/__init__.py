"""Pages that say how the agents do, over many conversations."""
