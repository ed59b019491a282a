"""Repositories: judged by their folders (`location`), their branches read from files (`refs`) or asked of `git`."""
