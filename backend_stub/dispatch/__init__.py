"""Who runs what, when: `embedded` runs it in this process."""
