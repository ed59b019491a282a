"""The shell of the app: the application, its palette, themes, notifications and terminal."""
