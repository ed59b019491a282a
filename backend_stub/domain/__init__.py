"""What the rest of the backend stands on: ports, calls and errors. Imports the contract only."""
