"""One file per format that a gateway reads."""
