"""GitHub by its own command `gh`: what it is asked, what it prints, and what it means when it refuses."""
