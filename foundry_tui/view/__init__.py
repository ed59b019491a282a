"""Pure functions from records to what is shown; no Textual, no I/O, the time passed in."""
