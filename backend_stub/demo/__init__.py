"""What the demo plays: its script, and the world that its sandboxes and agents share."""
