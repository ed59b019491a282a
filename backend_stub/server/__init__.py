"""The HTTP side: `routes` and `streams` decode, call and encode; `guard` says who may talk; no rules live here."""
