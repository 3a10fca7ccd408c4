"""Places: what a platform's servers are called, where they lie, and what to do when there is none."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """One platform's places. Folders are looked at after PATH; those of Postgres are patterns, newest version first."""

    platform: str
    redis_programs: tuple[str, ...]
    redis_folders: tuple[str, ...]
    redis_wheel: str
    redis_remedy: str
    postgres_folders: tuple[str, ...]
    postgres_wheels: tuple[str, ...]
    postgres_remedy: str
    program_suffix: str = ""
