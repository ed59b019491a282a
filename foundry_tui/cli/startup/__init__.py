"""From the command to the first picture of the app, and what must be fast on the way."""
