"""This repository's workflows and actions, parsed and as text, for the rules that read them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
GUIDE, DOWNLOADS = "docs/guide/github.md", "ci_tools/services/downloads.json"

Tree = dict[Any, Any]


@dataclass(slots=True)
class Files:
    """Workflows and actions by path, parsed and as text; as text also the guide and the table of downloads."""

    workflows: dict[str, Tree] = field(default_factory=dict)
    actions: dict[str, Tree] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def yaml_texts(self) -> Iterator[tuple[str, str]]:
        """Every workflow and action as text."""
        return ((path, text) for path, text in self.texts.items() if path.endswith(".yml"))

    def jobs(self) -> Iterator[tuple[str, str, Tree]]:
        """Every job with the path of its workflow and its ID."""
        for path, workflow in self.workflows.items():
            for name, job in workflow["jobs"].items():
                yield path, name, job

    def steps(self) -> Iterator[tuple[str, Tree]]:
        """Every step of jobs and composite actions, with where it stands."""
        for path, name, job in self.jobs():
            for step in job.get("steps", []):
                yield f"{path}:{name}", step
        for path, action in self.actions.items():
            for step in action["runs"].get("steps", []):
                yield path, step


def load() -> Files:
    """The files of this repository."""
    files = Files()
    files.texts |= {path: (ROOT / path).read_text(encoding="utf-8") for path in (GUIDE, DOWNLOADS)}
    for path in sorted([*GITHUB.glob("workflows/*.yml"), *GITHUB.glob("actions/*/action.yml")]):
        name = path.relative_to(GITHUB).as_posix()
        text = path.read_text(encoding="utf-8")
        files.texts[name] = text
        (files.workflows if name.startswith("workflows/") else files.actions)[name] = yaml.safe_load(text)
    return files


def triggers(workflow: Tree) -> Tree:
    """The ``on:`` of a workflow; YAML 1.1 reads that key as true."""
    found = workflow[True] if True in workflow else workflow["on"]
    return found if isinstance(found, dict) else dict.fromkeys([found] if isinstance(found, str) else found)


def needs_of(job: Tree) -> list[str]:
    """IDs of the jobs that a job needs directly."""
    needs = job.get("needs", [])
    return [needs] if isinstance(needs, str) else list(needs)
