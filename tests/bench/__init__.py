"""Benchmarks: each figure beside a floor measured in the same run. `python -m tests.bench [NAME] [--json]`.

They are no part of the test run and assert no time.
"""
