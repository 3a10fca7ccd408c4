"""Makes the pages of docs/reference/ that the code knows best: ``nox -s docs`` writes them, a test says when they are stale."""

import argparse
import sys
from pathlib import Path

from ci_tools.cli import build_parser
from ci_tools.config.gate import FIELDS
from ci_tools.config.keys import KEYS, SERVICE_KEYS
from ci_tools.errors import PRECEDENCE, ExitCode
from ci_tools.model.policy import PROFILES
from ci_tools.policy.catalogue import render_rules

FOLDER = Path(__file__).resolve().parent / "reference"
_MADE = "<!-- made by docs/generate.py: change the code, then `nox -s docs` -->"

_CODES = {
    ExitCode.PASSED: "the verdict is passed",
    ExitCode.FAULT: "a fault of ci-tools; its traceback is printed",
    ExitCode.USAGE: "usage or configuration is wrong, or a plan does not fit what is here",
    ExitCode.FAILED: "the answer is no: verdict failed; also `verify`, `doctor` and `release check`",
    ExitCode.INCOMPLETE: "incomplete: shards or tests are lost, a report is corrupt",
    ExitCode.SERVICE: "a service was not ready",
    ExitCode.WORKERS: "workers ended in a way that kept tests from being finished",
    ExitCode.QUEUE: "the shared queue is unavailable",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C): everything was stopped, journal, summary and an incomplete verdict are written",
    ExitCode.TERMINATED: "terminated, as interrupted",
}


def main() -> int:
    """Write every page."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


def pages() -> dict[str, str]:
    """File name → text of each page."""
    return {"configuration.md": _configuration(), "cli.md": _cli(), "exit-codes.md": _exit_codes(), "rules.md": render_rules()}


def _configuration() -> str:
    lines = [
        "# Configuration",
        "",
        _MADE,
        "",
        "Everything stands in the project's `pyproject.toml`; every key has a default.",
        "",
    ]
    for table in dict.fromkeys(key.table for key in KEYS):
        lines += [
            f"## `[tool.ci-tools{'.' + table if table else ''}]`",
            "",
            "| key | takes | default | meaning |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| `{key.name}` | {key.takes} | `{_shown(key.default)}` | {key.meaning} |" for key in KEYS if key.table == table
        ]
        lines.append("")
    lines += [
        "## `[tool.ci-tools.services.redis]`, `[tool.ci-tools.services.postgres]`",
        "",
        "The table alone asks for the service.",
        "",
    ]
    lines += ["| key | takes | meaning |", "| --- | --- | --- |"]
    lines += [f"| `{key.name}` | {key.takes} | {key.meaning} |" for key in SERVICE_KEYS]
    lines += ["", "## `[tool.ci-tools.configurations.NAME]`", "", "Ways to run the suite, one after another in one report.", ""]
    lines += ["| key | takes | meaning |", "| --- | --- | --- |"]
    lines += ["| `services` | array of names | the services of this configuration; all that are declared when left out |"]
    lines += ["| `environment` | table of strings | what the tests' environment says in this configuration |"]
    lines += ["", "## `[tool.ci-tools.gate]`, `[tool.ci-tools.gate.PROFILE]`", ""]
    lines += [
        "What a profile asks by name wins over the keys for all. `docs/reference/rules.md` says what each rule does with them.",
        "",
    ]
    names = list(PROFILES)
    lines += ["| key | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for key, name in FIELDS.items():
        values = [f"`{_shown(getattr(PROFILES[profile], name))}`" for profile in names]
        lines.append(f"| `{key}` | " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if value is None:
        return "no limit"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {item}" for name, item in value.items()) + " }"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _cli() -> str:
    parser = build_parser()
    lines = ["# Command line", "", _MADE, "", "```text", _help(parser), "```", ""]
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001 - argparse has no public way to its subparsers
    for action in actions:
        for name, verb in action.choices.items():
            lines += [f"## `ci-tools {name}`", "", "```text", _help(verb), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _help(parser: argparse.ArgumentParser) -> str:
    # A fixed width: the page must not depend on the terminal of whoever makes it.
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=100, max_help_position=32)  # type: ignore[assignment] # a factory is what argparse calls
    return parser.format_help().rstrip()


def _exit_codes() -> str:
    lines = [
        "# Exit codes",
        "",
        _MADE,
        "",
        "Verdict and infrastructure never share a code.",
        "",
        "| code | name | when |",
        "| ---: | --- | --- |",
    ]
    lines += [f"| {code.value} | {code.name.lower()} | {_CODES[code]} |" for code in ExitCode]
    order = ", ".join(str(code.value) for code in PRECEDENCE)
    lines += ["", f"Where several hold, the first of these wins: {order}. nox itself ends with 0 or 1 and prints ours."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
