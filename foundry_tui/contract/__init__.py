"""What the app and the backend say to each other; depends on msgspec alone.

`status` holds the state machine, `records` what is told, `requests` what is asked, `events` what is
pushed, `problems` what is refused, `codec` the encoders and decoders, `ids` the identities.
"""
