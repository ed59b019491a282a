"""What the backend asks of the machine it runs on: private files, what has run out, and the processes it started."""
