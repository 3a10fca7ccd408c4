"""Where servers are found on Windows, and what to do when none is."""

REDIS_PROGRAMS = ("memurai", "valkey-server", "redis-server")
REDIS_WHEEL = ""
REDIS_FOLDERS = (r"C:\Program Files\Memurai", r"C:\Program Files\Redis")
REDIS_REMEDY = "`choco install memurai-developer` or `scoop install redis` puts a server on PATH"
