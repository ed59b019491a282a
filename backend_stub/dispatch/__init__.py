"""Who runs what, when: `embedded` in this process; `calls` keeps calls to the outside from holding anybody."""
