"""Downloads: planned, carried out beside the final names, verified, and put into place when they are whole."""
