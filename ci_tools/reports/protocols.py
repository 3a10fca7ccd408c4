"""What a client speaks, by its library: where it names no server, that is what tells two servers apart. Pure."""

import re
from collections.abc import Sequence

from ci_tools.reports.roots import Root

_LIBRARY = re.compile(r"(?:site-packages|dist-packages)/(\w+)/|/[Ll]ib/(?:python[\d.]+/)?(urllib|http|smtplib|ftplib)\b")
_SPOKEN = {
    **dict.fromkeys(("aiohttp", "http", "httpcore", "httpx", "requests", "urllib", "urllib3"), "http"),
    **dict.fromkeys(("redis", "valkey"), "redis"),
    **dict.fromkeys(("asyncpg", "pg8000", "psycopg", "psycopg2"), "postgres"),
    **dict.fromkeys(("aiomcache", "memcache", "pylibmc", "pymemcache"), "memcached"),
    **dict.fromkeys(("aio_pika", "aiormq", "pika"), "amqp"),
    **dict.fromkeys(("aiomysql", "MySQLdb", "pymysql"), "mysql"),
    **dict.fromkeys(("motor", "pymongo"), "mongodb"),
    **dict.fromkeys(("aiosmtplib", "smtplib"), "smtp"),
    **dict.fromkeys(("aiokafka", "confluent_kafka", "kafka"), "kafka"),
    **{name: name for name in ("ftplib", "grpc", "ldap3", "nats", "paho", "paramiko", "websockets")},
}

_PRODUCTS = {
    "redis": "redis",
    "valkey": "redis",
    "postgres": "postgres",
    "psycopg": "postgres",
    "psycopg2": "postgres",
    "asyncpg": "postgres",
    "pymongo": "mongodb",
    "pymysql": "mysql",
    "MySQLdb": "mysql",
    "aiomysql": "mysql",
    "pika": "rabbitmq",
    "aio_pika": "rabbitmq",
    "aiormq": "rabbitmq",
    "kafka": "kafka",
    "aiokafka": "kafka",
    "elasticsearch": "elasticsearch",
    "nats": "nats",
}
"""The module of a client, and what it speaks to: whichever way one came there, it is that server that refuses."""

_SAID = {
    **{name: name for name in ("redis", "mysql", "mongodb", "rabbitmq", "kafka", "elasticsearch", "memcached", "nats")},
    "valkey": "redis",
    "postgres": "postgres",
    "postgresql": "postgres",
    "mongo": "mongodb",
}
_NAMED = re.compile(rf"(?<![\w./-])(?:{'|'.join(_SAID)})(?![\w./-])", re.IGNORECASE)
"""How a wrapper calls the server that it did not reach."""
LONGEST_NAMED = 500

PROTOCOLS = frozenset({*_PRODUCTS.values(), *_SPOKEN.values()})
"""What a refusal may have been met through, where neither server nor place is known."""


def protocol_of(links: Sequence[Root]) -> str:
    """What the client in the traceback speaks; empty where there is none that is known."""
    places = (place.path.replace("\\", "/") for link in links for place in link.places())
    names = (name for path in places for found in _LIBRARY.findall(path) for name in found)
    return next((_SPOKEN[name] for name in names if name in _SPOKEN), "")


def product_of(links: Sequence[Root]) -> str:
    """What the client speaks that gave up, where few servers of a project speak it."""
    named = next((_PRODUCTS[module] for link in links if (module := link.type_name.partition(".")[0]) in _PRODUCTS), "")
    named = named or next(
        (_SAID[words[0].lower()] for link in links if (words := _NAMED.findall(link.message[:LONGEST_NAMED]))), ""
    )
    spoken = "" if named else protocol_of(links)
    return named or ("" if spoken == "http" else spoken)
