"""The consumer is a project of its own, run by ci-tools and not by our test run."""

collect_ignore = ["consumer"]
