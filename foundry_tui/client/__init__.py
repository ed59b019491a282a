"""The app's and the command line's way to the backend: calls, streams, and the store that they end up in.

Nothing is imported here, so that each command pays only for the modules that it uses.
"""
