"""The install page: what goes onto a website, and whether it arrives."""
