"""Settings: config file, environment, flags and keyring."""
