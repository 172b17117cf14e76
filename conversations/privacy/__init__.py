"""Data protection: erasing and exporting a person, with receipts, and how long things are kept."""
