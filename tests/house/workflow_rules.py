"""What this project demands of its own workflows, as functions: a set of parsed files in, sentences about breaches out."""

import ast
import json
import re
import shlex
from collections.abc import Callable

import yaml
from workflow_files import DOWNLOADS, GUIDE, ROOT, Files, Tree, needs_of, triggers

from ci_tools.cli import parse
from ci_tools.scaffold.project import WORKFLOW

PINNED_LABELS = {"ubuntu-24.04", "ubuntu-24.04-arm", "macos-15", "windows-2025"}
ENVIRONMENT = {"PROJECT": ".", "SHARD": "1/2", "SHARDS": "auto", "TARGET": "5m", "PROFILE": "default", "KIND": "redis"}
"""What the variables of our `run:` lines stand for when they are parsed."""


def gate_needs_every_job(files: Files) -> list[str]:
    """Where a workflow has a gate, it is never skipped, and every other job is among those it needs directly."""
    found = []
    for path, workflow in files.workflows.items():
        jobs = workflow["jobs"]
        if "gate" not in jobs:
            continue
        gate = jobs["gate"]
        after = {name for name, job in jobs.items() if "gate" in needs_of(job)}
        found += [f"{path}: gate does not need {name}" for name in jobs if name not in {"gate", *needs_of(gate), *after}]
        if re.sub(r"[\s${}]", "", str(gate.get("if"))) != "always()":
            found.append(f"{path}: gate has if: {gate.get('if')!r}, expected always(): a skipped gate counts as passed")
        handed = [step for step in gate.get("steps", []) if "toJSON(needs)" in str(step.get("with", {}).get("needs", ""))]
        if not handed:
            found.append(f"{path}: gate judges no needs")
    return found


def every_job_is_bounded(files: Files) -> list[str]:
    """Each job has permissions of its own and, where it runs steps, a timeout and a pinned runner label."""
    found = []
    for path, name, job in files.jobs():
        if "permissions" not in job:
            found.append(f"{path}:{name} has no permissions")
        if "uses" in job:
            continue
        if "timeout-minutes" not in job:
            found.append(f"{path}:{name} has no timeout-minutes")
        found += [
            f"{path}:{name} runs on {label!r}, expected one of {sorted(PINNED_LABELS)}"
            for label in _labels(files, path, job)
            if label not in PINNED_LABELS
        ]
    return found


def _labels(files: Files, path: str, job: Tree) -> list[str]:
    label = job["runs-on"]
    axis = re.fullmatch(r"\$\{\{ matrix\.(\w+) \}\}", label)
    if not axis:
        return [label]
    values = job["strategy"]["matrix"][axis[1]]
    if isinstance(values, list):
        return values
    given = re.fullmatch(r"\$\{\{ fromJSON\(inputs\.([\w-]+)\) \}\}", values)
    if not given:
        return [values]
    defaults = [triggers(files.workflows[path])["workflow_call"]["inputs"][given[1]]["default"]]
    callers = [job["with"].get(given[1]) for _, _, job in files.jobs() if str(job.get("uses", "")).endswith(f".github/{path}")]
    return [label for text in [*defaults, *filter(None, callers)] for label in yaml.safe_load(text)]


def no_permission_by_default(files: Files) -> list[str]:
    """Nothing is granted at the top of a workflow, and every grant of a job says what it is for."""
    found = [
        f"{path}: top-level permissions are {workflow.get('permissions')!r}, expected none"
        for path, workflow in files.workflows.items()
        if workflow.get("permissions") != {}
    ]
    for path, text in files.yaml_texts():
        grants = re.findall(r"^ +(?:[a-z]+(?:-[a-z]+)*): (?:read|write)\b(.*)$", text, re.MULTILINE)
        found += [f"{path}: a grant without a reason" for rest in grants if "#" not in rest]
    return found


def services_run_on_linux_only(files: Files) -> list[str]:
    """A job with services runs on Ubuntu alone, or its images are empty elsewhere."""
    found = []
    for path, name, job in files.jobs():
        labels = [] if "uses" in job else [str(job["runs-on"])]
        if all(label.startswith("ubuntu") for label in labels):
            continue
        found += [
            f"{path}:{name}: service {service} has image {spec['image']!r}, expected: empty unless the system is Linux"
            for service, spec in job.get("services", {}).items()
            if not re.fullmatch(r"\$\{\{ startsWith\(matrix\.system, 'ubuntu'\) && .+ \|\| '' \}\}", spec["image"])
        ]
    return found


def actions_are_pinned(files: Files) -> list[str]:
    """Foreign actions stand at one full commit everywhere, with its version behind; own ones are named by ``$/`` and exist."""
    found = []
    pins: dict[str, set[str]] = {}
    for path, text in files.yaml_texts():
        for used, comment in re.findall(r"^[ -]+uses: (\S+)(.*)$", text, re.MULTILINE):
            if used.startswith("$/"):
                target = ROOT / used[2:]
                if not (target.is_file() or (target / "action.yml").is_file()):
                    found.append(f"{path}: {used} does not exist")
                continue
            name, _, reference = used.partition("@")
            pins.setdefault(name, set()).add(reference + comment)
            if not re.fullmatch(r"[0-9a-f]{40}", reference) or not re.fullmatch(r" # v\d+\.\d+\.\d+", comment):
                found.append(f"{path}: {used}{comment} is not pinned to a commit with its version behind")
    return found + [f"{name} stands at {sorted(found_at)}" for name, found_at in pins.items() if len(found_at) > 1]


def artifacts_carry_every_axis(files: Files) -> list[str]:
    """Two jobs of a matrix and two attempts never write an artifact of one name; nothing missing is uploaded.

    Packages alone are of the commit and not of the attempt: what is built again replaces them.
    """
    found = []
    for path, name, job in files.jobs():
        axes = list(job.get("strategy", {}).get("matrix", {}))
        for step in job.get("steps", []):
            if not str(step.get("uses", "")).startswith("actions/upload-artifact@"):
                continue
            given = step["with"]
            found += [
                f"{path}:{name}: artifact {given['name']!r} lacks the axis {axis}"
                for axis in axes
                if f"matrix.{axis}" not in given["name"]
            ]
            if "github.run_attempt" not in given["name"] and (given["name"], given.get("overwrite")) != ("packages", True):
                found.append(f"{path}:{name}: artifact {given['name']!r} lacks the attempt")
            if given.get("if-no-files-found") != "error":
                found.append(f"{path}:{name}: artifact {given['name']!r} lacks if-no-files-found: error")
    return found


def no_expression_in_run(files: Files) -> list[str]:
    """Values reach a script by its environment: an expression in the text would be code."""
    return [f"{where}: expression in run: {step['run']!r}" for where, step in files.steps() if "${{" in step.get("run", "")]


def checkouts_keep_no_token(files: Files) -> list[str]:
    """No checkout leaves the job's token in the work tree."""
    return [
        f"{where}: checkout keeps its credentials"
        for where, step in files.steps()
        if str(step.get("uses", "")).startswith("actions/checkout@")
        and step.get("with", {}).get("persist-credentials") is not False
    ]


def main_is_never_cancelled(files: Files) -> list[str]:
    """Only a pull request's older run is cancelled; every other event has a group of its own; a called workflow has none."""
    found = []
    for path, workflow in files.workflows.items():
        concurrency = workflow.get("concurrency")
        if set(triggers(workflow)) == {"workflow_call"}:
            if concurrency:
                found.append(f"{path}: a called workflow shares its caller's group and would be cancelled as a deadlock")
        elif "pull_request" in triggers(workflow):
            if "github.sha" not in str(concurrency and concurrency["group"]):
                found.append(f"{path}: its group is not one for each commit")
            if (concurrency or {}).get("cancel-in-progress") != "${{ github.event_name == 'pull_request' }}":
                found.append(f"{path}: cancels more than pull requests")
    return found


def forks_get_nothing(files: Files) -> list[str]:
    """No workflow runs a fork's code with a token or secret: no pull_request_target anywhere."""
    return [
        f"{path}: on {name}"
        for path, workflow in files.workflows.items()
        for name in triggers(workflow)
        if name == "pull_request_target"
    ]


def privileged_half_is_apart(files: Files) -> list[str]:
    """Who may write and follows a fork's run executes nothing of it: no foreign ref or step; and after a red run too."""
    found = []
    for path, workflow in files.workflows.items():
        if "workflow_run" not in triggers(workflow):
            continue
        if "'success'" in str([job.get("if") for job in workflow["jobs"].values()]):
            found.append(f"{path}: runs after success only, when a comment is worth least")
        for name, job in workflow["jobs"].items():
            for step in job["steps"]:
                used = str(step.get("uses", ""))
                if "run" in step or not used.startswith(("actions/checkout@", "$/.github/actions/comment")):
                    found.append(f"{path}:{name}: {step.get('run') or used} in a job that may write")
                if set(step.get("with", {})) & {"ref", "repository"}:
                    found.append(f"{path}:{name}: checks out another ref than the default branch")
    return found


def nox_sessions_exist(files: Files) -> list[str]:
    """Every ``nox -s`` of a workflow is a session of the noxfile."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    sessions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list}
    asked = ((where, name) for where, step in files.steps() for name in re.findall(r"nox -s (\S+)", step.get("run", "")))
    return [f"{where}: nox has no session {name!r}" for where, name in asked if name not in sessions]


def followed_workflows_exist(files: Files) -> list[str]:
    """A workflow that follows others names them as they are named: a misspelt one never runs and says nothing."""
    names = {workflow.get("name") for workflow in files.workflows.values()}
    return [
        f"{path}: follows {name!r}, which no workflow is called"
        for path, workflow in files.workflows.items()
        for name in (triggers(workflow).get("workflow_run") or {}).get("workflows", [])
        if name not in names
    ]


def inputs_are_used(files: Files) -> list[str]:
    """Every input of a callable workflow or an action has a description and is used in it."""
    found = []
    callable_ = {path: triggers(workflow).get("workflow_call") for path, workflow in files.workflows.items()}
    declared = {path: (call or {}).get("inputs", {}) for path, call in callable_.items()} | {
        path: action.get("inputs", {}) for path, action in files.actions.items()
    }
    for path, inputs in declared.items():
        for name, spec in inputs.items():
            if not spec.get("description"):
                found.append(f"{path}: input {name} has no description")
            if not re.search(rf"inputs\.{re.escape(name)}\b", files.texts[path]):
                found.append(f"{path}: input {name} is not used")
    return found


def _callable(files: Files) -> dict[str, Tree]:
    """What others may call, with its inputs and outputs: the reusable workflow and every action."""
    called = ((path, triggers(workflow).get("workflow_call")) for path, workflow in files.workflows.items())
    return {path: call for path, call in called if call} | files.actions


def guide_lists_every_input(files: Files) -> list[str]:
    """The guide's tables hold the inputs and outputs of the workflow and of each action, with their defaults, and no other."""
    found = []
    for path, item in _callable(files).items():
        section = files.texts[GUIDE].partition(f"`.github/{path}`")[2].split("\n## ", 1)[0]
        rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*?) \|", section, re.MULTILINE))
        expected = {}
        for name, spec in item.get("inputs", {}).items():
            default = str(spec.get("default", ""))
            expected[name] = "required" if spec.get("required") else f"`{default}`" if default else ""
        expected |= dict.fromkeys(item.get("outputs", {}), "output")  # the table of outputs is the later one
        found += [
            f"{path}: the guide has {rows.get(name)!r} for {name}, expected {row!r}"
            for name, row in expected.items()
            if rows.get(name) != row
        ]
        found += [f"{path}: the guide has {name}, which there is not" for name in rows if name not in expected]
    return found


def examples_fit_the_inputs(files: Files) -> list[str]:
    """Callers of our workflow (the guide, what `init` writes, we ourselves) give inputs that there are, and no other right."""
    texts = {GUIDE: files.texts[GUIDE].split("```yaml\n", 1)[1].split("```", 1)[0], "init --github": WORKFLOW}
    examples = {where: yaml.safe_load(text) for where, text in texts.items()}
    inputs = set(_callable(files)["workflows/integration.yml"]["inputs"])
    found = []
    for where, workflow in {**examples, **files.workflows}.items():
        for name, job in workflow["jobs"].items():
            if "workflows/integration.yml" not in job.get("uses", ""):
                continue
            found += [f"{where}:{name} gives {key}, which is no input" for key in job["with"] if key not in inputs]
            if (workflow["permissions"], job["permissions"]) != ({}, {"contents": "read"}):
                found.append(
                    f"{where}:{name} grants {workflow['permissions']} and {job['permissions']}, expected contents: read alone"
                )
    return found


def every_system_has_a_redis(files: Files) -> list[str]:
    """Where a job needs a Redis, ci-tools has a download for that system: without a container it is not red from the start."""
    known = {entry["os"] for entry in json.loads(files.texts[DOWNLOADS]) if entry["distribution"] in {"redis", "valkey"}}
    found = []
    for path, name, job in files.jobs():
        if "workflows/integration.yml" in job.get("uses", ""):
            labels = yaml.safe_load(job["with"].get("systems", "[]"))
        elif any("actions/services" in str(step.get("uses", "")) for step in job.get("steps", [])):
            labels = _labels(files, path, job)
        else:
            continue
        wanted = {label: {"u": "linux", "m": "darwin", "w": "win32"}[label[0]] for label in labels}
        found += [f"{path}:{name}: no Redis for {label}" for label, system in wanted.items() if system not in known]
    return found


def release_is_closed(files: Files) -> list[str]:
    """A release reads no cache; one job alone signs, in an environment, from a tag, after gate and check; by hand it is dry."""
    path = "workflows/release.yml"
    workflow = files.workflows[path]
    jobs = workflow["jobs"]
    signing = [name for name, job in jobs.items() if "id-token" in job["permissions"]]
    publish = jobs.get("publish", {})
    condition = str(publish.get("if"))
    needed = ("github.ref_type == 'tag'", "!inputs.dry-run", "needs.gate.outputs.verdict == 'passed'")
    calls = [job["with"] for job in jobs.values() if "integration.yml" in job.get("uses", "")]
    demands = {
        "ACTIONS_CACHE_MODE is not none": workflow.get("env", {}).get("ACTIONS_CACHE_MODE") == "none",
        "a cache is used": "actions/cache" not in files.texts[path] and all(call.get("use-cache") is False for call in calls),
        "the tested wheel is not the built one": all(call.get("wheel-artifact") == "packages" for call in calls),
        "not the release profile": all(call.get("profile") == "release" for call in calls),
        f"{signing} may sign": signing == ["publish"] and "environment" in publish,
        f"publish has if: {condition}": all(part in condition for part in needed) and "always()" not in condition,
        "publish does not need gate and check": {"gate", "check"} <= set(needs_of(publish)),
        "by hand it is not dry": triggers(workflow)["workflow_dispatch"]["inputs"]["dry-run"]["default"] is True,
    }
    return [f"{path}: {fault}" for fault, is_kept in demands.items() if not is_kept]


def required_check_is_named(files: Files) -> list[str]:
    """The guide names the check to require as GitHub shows it: of a caller, and of this repository."""
    ours = files.workflows["workflows/ci.yml"]["jobs"]["gate"]["name"]
    theirs = files.workflows["workflows/integration.yml"]["jobs"]["gate"]["name"]
    wanted = (f"**{theirs}**", f"`integration / {theirs}`", f"**{ours}**")
    return [f"the guide does not name {name}" for name in wanted if name not in files.texts[GUIDE]]


def command_lines_are_ours(files: Files) -> list[str]:
    """Every ``ci-tools`` line of a ``run:`` parses with today's command line."""
    found = []
    for where, words in tool_calls(files):
        try:
            parse(words)
        except SystemExit:
            found.append(f"{where}: ci-tools {' '.join(words)} does not parse")
    return found


def tool_calls(files: Files) -> list[tuple[str, list[str]]]:
    """Every ``ci-tools`` command line of a ``run:``, its variables replaced by what they stand for, without the program."""
    found = []
    for where, step in files.steps():
        for line in step.get("run", "").replace("\\\n", " ").splitlines():
            if line.strip().startswith("ci-tools "):
                chosen = re.sub(r"\$\{\w+:\+(.*?)\}", r"\1", line)
                words = shlex.split(re.sub(r"\$\{?(\w+)\}?", lambda match: ENVIRONMENT[match[1]], chosen))
                found.append((where, words[1:]))
    return found


RULES: tuple[Callable[[Files], list[str]], ...] = (
    gate_needs_every_job,
    every_job_is_bounded,
    no_permission_by_default,
    services_run_on_linux_only,
    actions_are_pinned,
    artifacts_carry_every_axis,
    no_expression_in_run,
    checkouts_keep_no_token,
    main_is_never_cancelled,
    forks_get_nothing,
    privileged_half_is_apart,
    followed_workflows_exist,
    nox_sessions_exist,
    inputs_are_used,
    guide_lists_every_input,
    examples_fit_the_inputs,
    every_system_has_a_redis,
    release_is_closed,
    required_check_is_named,
    command_lines_are_ours,
)
