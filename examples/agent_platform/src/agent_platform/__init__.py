"""A small asynchronous multi-user agent platform: the reference consumer of the CI toolkit."""
