import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from ci_tools.cli import parse

sys.path.insert(0, str(Path(__file__).parent))

import workflow_files
import workflow_rules
from workflow_files import GITHUB, ROOT, Files


@pytest.fixture(name="files")
def _files() -> Files:
    return workflow_files.load()


@pytest.mark.parametrize("rule", workflow_rules.RULES, ids=lambda rule: rule.__name__)
def test_our_workflows_keep(rule: Callable[[Files], list[str]], files: Files) -> None:
    """Each rule finds no breach in this repository's workflows and actions."""
    assert rule(files) == []


FAULTS = {
    "gate_needs_every_job": [
        (
            "workflows/ci.yml",
            "needs: [lint, tests, consumer, package, integration]",
            "needs: [lint, consumer, package, integration]",
        ),
        ("workflows/ci.yml", "if: ${{ always() }} # skipped", "if: ${{ !cancelled() }} # skipped"),
        ("workflows/integration.yml", "needs: ${{ toJSON(needs) }}", "needs: ${{ toJSON(github) }}"),
    ],
    "every_job_is_bounded": [
        ("workflows/ci.yml", "    timeout-minutes: 30\n", ""),
        ("workflows/ci.yml", "runs-on: ubuntu-24.04", "runs-on: ubuntu-latest"),
        ("workflows/ci.yml", "macos-15, windows-2025]", "macos-latest, windows-2025]"),
        ("workflows/ci.yml", '"ubuntu-24.04", "macos-15", ', '"ubuntu-latest", '),
        ("workflows/ci.yml", "    permissions:\n      contents: read # check out the code\n    steps", "    steps"),
    ],
    "no_permission_by_default": [
        ("workflows/ci.yml", "\npermissions: {}\n", "\npermissions: read-all\n"),
        ("workflows/ci.yml", "contents: read # check out the code", "contents: write"),
    ],
    "services_run_on_linux_only": [
        ("workflows/integration.yml", "${{ startsWith(matrix.system, 'ubuntu') && inputs.redis-image || '' }}", "redis:8"),
        ("workflows/integration.yml", "startsWith(matrix.system, 'ubuntu') && ", ""),
    ],
    "actions_are_pinned": [
        ("workflows/ci.yml", "@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7"),
        ("workflows/ci.yml", "@3d3c42e5aac5ba805825da76410c181273ba90b1", "@" + "0" * 40),
        ("workflows/ci.yml", "$/.github/actions/gate", "$/.github/actions/gone"),
    ],
    "artifacts_carry_every_axis": [
        ("workflows/integration.yml", "-${{ matrix.shard.slug }}", ""),
        ("workflows/integration.yml", "${{ needs.plan.outputs.attempt }}-attempt-${{ github.run_attempt }}", "1"),
        ("workflows/integration.yml", "-verdicts-attempt-${{ github.run_attempt }}\n          path", "-verdicts\n          path"),
        ("workflows/integration.yml", "if-no-files-found: error", "if-no-files-found: warn"),
        ("workflows/ci.yml", "overwrite: true", "overwrite: false"),
    ],
    "no_expression_in_run": [("workflows/integration.yml", '--shards "$SHARDS"', "--shards ${{ inputs.shards }}")],
    "checkouts_keep_no_token": [("workflows/ci.yml", "persist-credentials: false", "persist-credentials: true")],
    "main_is_never_cancelled": [
        ("workflows/ci.yml", "cancel-in-progress: ${{ github.event_name == 'pull_request' }}", "cancel-in-progress: true"),
        ("workflows/ci.yml", "|| github.sha }}", "|| github.ref }}"),
        ("workflows/integration.yml", "\npermissions: {}\n", "\npermissions: {}\nconcurrency: {group: x}\n"),
    ],
    "forks_get_nothing": [("workflows/ci.yml", "  pull_request:\n", "  pull_request_target:\n")],
    "privileged_half_is_apart": [
        (
            "workflows/comment.yml",
            "github.event.workflow_run.conclusion != 'cancelled'",
            "github.event.workflow_run.conclusion == 'success'",
        ),
        (
            "workflows/comment.yml",
            "          persist-credentials: false\n",
            "          persist-credentials: false\n          ref: ${{ github.event.workflow_run.head_sha }}\n",
        ),
        ("workflows/comment.yml", "        uses: $/.github/actions/comment\n", "        run: pip install -e .\n"),
        ("workflows/comment.yml", "uses: $/.github/actions/comment\n", "uses: actions/download-artifact@v8\n"),
    ],
    "followed_workflows_exist": [("workflows/comment.yml", "workflows: [CI]", "workflows: [Ci]")],
    "nox_sessions_exist": [("workflows/ci.yml", "nox -s lint", "nox -s lnit")],
    "inputs_are_used": [
        (
            "workflows/integration.yml",
            "      project:\n",
            "      unused:\n        description: x\n        type: string\n      project:\n",
        ),
        ("actions/gate/action.yml", "    description: The needs context of the job as JSON, that is toJSON(needs).\n", ""),
    ],
    "guide_lists_every_input": [
        ("workflows/integration.yml", 'default: "4"', 'default: "5"'),
        ("workflows/integration.yml", "      retention-days:\n        description", "      kept-days:\n        description"),
        ("actions/setup/action.yml", "  version:\n", "  tool-version:\n"),
        (workflow_files.GUIDE, "| `use-cache` |", "| `no-cache` |"),
    ],
    "examples_fit_the_inputs": [
        (workflow_files.GUIDE, '      shards: "4"\n', '      shard-count: "4"\n'),
        (workflow_files.GUIDE, "    permissions:\n      contents: read\n", "    permissions:\n      contents: write\n"),
        ("workflows/nightly.yml", "      redis-image:", "      redis:"),
    ],
    "every_system_has_a_redis": [(workflow_files.DOWNLOADS, '"os": "win32"', '"os": "cygwin"')],
    "release_is_closed": [
        ("workflows/release.yml", "ACTIONS_CACHE_MODE: none", "ACTIONS_CACHE_MODE: read"),
        ("workflows/release.yml", "use-cache: false", "use-cache: true"),
        ("workflows/release.yml", "wheel-artifact: packages", "wheel-artifact: others"),
        ("workflows/release.yml", "profile: release", "profile: default"),
        ("workflows/release.yml", "    environment: pypi", "    # environment: pypi"),
        ("workflows/release.yml", "github.ref_type == 'tag' && ", ""),
        ("workflows/release.yml", " && needs.gate.outputs.verdict == 'passed'", ""),
        ("workflows/release.yml", "needs: [gate, check]", "needs: [gate]"),
        ("workflows/release.yml", "default: true", "default: false"),
        (
            "workflows/release.yml",
            "      contents: read # check out the commit that is released",
            "      id-token: write # check out the commit that is released",
        ),
    ],
    "required_check_is_named": [
        ("workflows/ci.yml", "    name: CI gate", "    name: The gate"),
        ("workflows/integration.yml", "    name: Integration gate", "    name: Gate"),
    ],
    "command_lines_are_ours": [
        ("workflows/integration.yml", "--github-output", "--github-outputs"),
        ("workflows/release.yml", "--max-age 24h", "--max-age tomorrow"),
        ("workflows/ci.yml", "run: ci-tools services down", "run: ci-tools services drop"),
    ],
}


EVERYWHERE = ("services_run_on_linux_only", "every_system_has_a_redis")
"""Rules that one hole alone does not break."""


@pytest.mark.parametrize(
    ("rule", "path", "old", "new"),
    [(rule, *fault) for rule, faults in FAULTS.items() for fault in faults],
    ids=[f"{rule}-{number}" for rule, faults in FAULTS.items() for number, _ in enumerate(faults, start=1)],
)
def test_a_planted_fault_is_found(rule: str, path: str, old: str, new: str, files: Files) -> None:
    """Each rule does find its fault, planted into the real files."""
    text = files.texts[path]
    assert old in text, "the fault no longer fits the file: plant it anew"
    planted = text.replace(old, new) if rule in EVERYWHERE else text.replace(old, new, 1)
    files.texts[path] = planted
    if path.endswith(".yml"):
        (files.workflows if path.startswith("workflows/") else files.actions)[path] = yaml.safe_load(planted)
    assert getattr(workflow_rules, rule)(files) != []


def test_every_rule_has_a_planted_fault() -> None:
    """No rule is there that nothing has ever broken."""
    assert sorted(FAULTS) == sorted(rule.__name__ for rule in workflow_rules.RULES)


def test_our_verbs_are_called(files: Files) -> None:
    """The rule on command lines finds something to look at: the verbs that CI rests on are among the lines."""
    called = {words[0] for _, words in workflow_rules.tool_calls(files)}
    assert called >= {"plan", "run", "gate", "baseline", "release", "services"}


def test_the_gate_action_builds_a_command_line_of_ours() -> None:
    """Whatever inputs are given, the action's script makes a command that parses."""
    gate = script("gate", "gate")
    for reports, plan, profile in (("shards", "", ""), ("shards", "plan/plan.json", "release")):
        words = gate.command(reports, plan, profile)
        assert words[0] == "ci-tools"
        assert parse(words[1:]).needs == "CI_NEEDS"


def test_setup_installs_nothing_without_a_hash_but_what_was_asked_for() -> None:
    """The lock is installed with hashes, ci-tools without dependencies, and the result is checked."""
    install = script("setup", "install")
    lock, toolkit, check = install.commands("", "")
    assert lock[-3:] == ["--require-hashes", "--requirement", str(ROOT / "requirements" / "setup.txt")]
    assert {"--no-deps", "--no-build-isolation", str(ROOT)} <= set(toolkit)
    assert check[-2:] == ["check", "--disable-pip-version-check"]
    commands = install.commands("locks/all.txt", "\n-e\n .[tests] \n")
    assert commands[0][-1] == "locks/all.txt"
    assert commands[1][-2:] == ["-e", ".[tests]"]


def test_dependabot_watches_every_folder_of_actions() -> None:
    """Every folder with pinned actions or locks is updated, with a cooldown."""
    config = yaml.safe_load((GITHUB / "dependabot.yml").read_text(encoding="utf-8"))
    folders = {update["package-ecosystem"]: set(update["directories"]) for update in config["updates"]}
    assert folders == {"github-actions": {"/", "/.github/actions/*"}, "pip": {"/", "/requirements"}}
    assert [update["cooldown"]["default-days"] >= 7 for update in config["updates"]] == [True, True]


def script(action: str, name: str) -> ModuleType:
    """A script of an action as a module."""
    spec = importlib.util.spec_from_file_location(f"action_{action}", GITHUB / "actions" / action / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
