"""The one way out: every HTTP call to an address that somebody entered leaves through these modules."""
