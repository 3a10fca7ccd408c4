"""The template of ``summary.html``: no script, no link to the outside, one style sheet inside."""

STYLE = """
:root { color-scheme: light dark; --bad: #b3261e; --good: #1a7f37; --warn: #9a6700; --line: #8884; --soft: #8881; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #56d364; --warn: #e3b341; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1.5rem; max-width: 75rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; border-left: .4rem solid var(--bad); padding-left: .8rem; }
h1.passed { border-color: var(--good); } h1.incomplete { border-color: var(--warn); }
h2 { font-size: 1.15rem; margin-top: 2rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; white-space: pre-wrap; border-radius: .3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: left; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.facts { opacity: .8; } .bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); } .warn { color: var(--warn); }
.cause { border: 1px solid var(--line); border-radius: .4rem; padding: .2rem 1rem 1rem; margin: 1rem 0; }
details { margin: .4rem 0; } summary { cursor: pointer; }
.rows { content-visibility: auto; contain-intrinsic-size: auto 8000px; } .rows table { table-layout: fixed; }
.rows th:nth-child(2) { width: 9rem; } .rows th:nth-child(3) { width: 7.5rem; }
"""

TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src '{{ style_hash }}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{{ verdict.headline | visible }}</title>
<style>{{ style }}</style>
</head>
<body>
<h1 class="{{ verdict.decision.value }}">{{ verdict.headline | visible }}</h1>
<p class="facts">verdict <b>{{ verdict.decision.value }}</b>, exit code {{ verdict.exit_code }}
{%- for fact in facts %} · {{ fact | visible }}{% endfor %}</p>
{% if report.interrupted_by %}
<p class="bad">Interrupted by {{ report.interrupted_by | visible }}: what had not finished is lost.</p>{% endif %}
{% if not verdict.is_complete_proven %}
<p class="warn">Completeness is not proven: without a plan nobody knows which tests should have run.</p>{% endif %}

{% if verdict.errors %}<h2>What went wrong around the tests</h2>
{% for error in verdict.errors %}<pre>{{ error.what | visible }}</pre>
{% endfor %}{% endif %}

{% if areas %}<h2>What is broken</h2>
<ul>{% for area in areas %}<li><b>{{ area.name | visible }}</b> (<code>{{ area.path | visible }}</code>): {{ area | state }}</li>
{% endfor %}</ul>{% endif %}

{% if causes %}<h2>What to fix first</h2>
{% for cause in causes %}<section class="cause">
<h3>{{ loop.index }}. <code>{{ cause.title | visible }}</code></h3>
<p>It <b>{{ cause | reach | visible }}</b>.{% if cause.spread %} {{ cause.spread | visible }}.{% endif %}</p>
{% if cause.location %}<p>Where: <code>{{ cause.location | visible }}</code></p>{% endif %}
<p>Example: <code>{{ cause.example_test | visible }}</code></p>
{% if cause.command %}<pre>{{ cause.command | visible }}</pre>{% endif %}
{% if cause.example.text or cause.example.message %}<details><summary>Traceback</summary>
<pre>{{ (cause.example.text or cause.example.message) | visible }}</pre></details>{% endif %}
<details><summary>All tests</summary>
<ul>{% for test in cause.tests %}<li><code>{{ test | visible }}</code></li>{% endfor %}</ul></details>
</section>
{% endfor %}{% endif %}

<h2>Rules</h2>
<table><tr><th>rule</th><th>holds</th><th>expected</th><th>actual</th></tr>
{% for rule in rules %}<tr><td><code>{{ rule.rule | visible }}</code></td>
<td class="{{ 'good' if rule.holds else 'bad' }}">{{ 'yes' if rule.holds else 'no: ' ~ rule.breach.value }}</td>
<td>{{ rule.expected | visible }}</td>
<td>{{ rule.actual | visible }}
{%- if rule.details %}<ul>{% for line in rule.details %}<li>{{ line | visible }}</li>{% endfor %}</ul>{% endif %}</td></tr>
{% endfor %}</table>

{% for title, lines in troubles if lines %}<h2>{{ title }} ({{ lines | length }})</h2>
<ul>{% for line in lines %}<li><code>{{ line | visible }}</code></li>{% endfor %}</ul>
{% endfor %}
<h2>Shards</h2>
<table><tr><th>shard</th>{% for outcome in outcomes %}<th class="n">{{ outcome.value | replace('_', ' ') }}</th>{% endfor %}
<th class="n">time</th><th></th></tr>
{% for row in shards %}<tr><td>{{ row.shard | visible }}
{%- if row.configuration != 'default' %} {{ row.configuration | visible }}{% endif %}
{%- if row.run_attempt > 1 %} (attempt {{ row.run_attempt }}){% endif %}</td>
{% for outcome in outcomes %}<td class="n">{{ row.counts[outcome] }}</td>{% endfor %}
<td class="n">{{ row.duration_s | duration }}</td>
<td class="bad">{{ row.remark | visible }}</td></tr>
{% endfor %}</table>

{% if services %}<h2>Services</h2>
<table><tr><th>service</th><th>version</th><th>provided</th><th>from</th><th>why</th></tr>
{% for service in services %}<tr><td>{{ service.kind.value }}</td><td>{{ service.version | visible }}</td>
<td>{{ service.provider.value }}</td><td><code>{{ (service.path or (service.host ~ ':' ~ service.port)) | visible }}</code></td>
<td>{{ service.reason | visible }}</td></tr>
{% endfor %}</table>{% endif %}

<h2>Tests ({{ tests }})</h2>
{% for rows in tables %}<div class="rows"><table><tr><th>test</th><th>outcome</th><th class="n">time</th></tr>
{% for case, name, why in rows %}<tr><td><code>{{ name | visible }}</code>
{%- if why %}<br>{{ why | visible }}{% endif %}
{%- for attempt in case.attempts if attempt.failures or attempt.stacks or attempt.leaks %}
<details><summary>attempt {{ attempt.number }}, shard {{ attempt.shard | visible }}:
{{ attempt.outcome.value | replace('_', ' ') }}</summary>
{% for failure in attempt.failures %}<pre>{{ (failure.text or failure.message) | visible }}</pre>{% endfor %}
{% if attempt.stacks %}<pre>{{ attempt.stacks | visible }}</pre>{% endif %}
{% for leak in attempt.leaks %}<p>Left a {{ leak.kind | visible }} behind: {{ leak.what | visible }}</p>
{% if leak.created_stack %}<pre>{{ leak.created_stack | visible }}</pre>{% endif %}{% endfor %}</details>
{%- endfor %}</td>
<td class="{{ 'good' if case.outcome.is_green and not case.is_flaky else ('warn' if case.is_flaky else 'bad') }}">
{{- case.outcome.value | replace('_', ' ') }}{% if case.is_flaky %} (flaky){% endif %}</td>
<td class="n">{{ case.duration_s | duration }}</td></tr>
{% endfor %}</table></div>
{% endfor %}
<h2>Run</h2>
<ul>{% for name, value in run if value %}<li>{{ name }}: <code>{{ value | visible }}</code></li>{% endfor %}
{% for note in verdict.notes %}<li>{{ note | visible }}</li>{% endfor %}</ul>
{% if verdict.inputs %}<details><summary>{{ verdict.inputs | length }} input(s) of the verdict</summary>
<table><tr><th>input</th><th class="n">bytes</th><th>sha256</th></tr>
{% for item in verdict.inputs %}<tr><td><code>{{ item.path | visible }}</code></td><td class="n">{{ item.size }}</td>
<td><code>{{ item.sha256 | visible }}</code></td></tr>{% endfor %}</table></details>{% endif %}
</body>
</html>
"""
