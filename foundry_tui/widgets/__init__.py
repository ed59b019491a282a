"""The widgets that screens are made of; they receive frozen values and send messages."""
