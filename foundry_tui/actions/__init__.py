"""What a person can do: one table of actions, from which keys, footer, palette and help are derived."""
