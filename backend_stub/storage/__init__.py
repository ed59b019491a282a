"""Where tasks are kept: a folder for each engine that does what `backend_stub.domain.storage` promises."""
