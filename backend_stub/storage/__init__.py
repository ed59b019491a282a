"""Where tasks are kept: `base` says what a storage promises, `schema` how it is laid out, `sqlite` is one."""
