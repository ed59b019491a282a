"""The demo: its story, its world, who plays it, and the line that can be cut."""
