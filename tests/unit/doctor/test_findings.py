"""The order of a diagnosis."""

from ci_tools.doctor.facts import Collected, ImportFailed, parse_facts, render_fact
from ci_tools.doctor.findings import Condition, Diagnosis, Examined, Finding, Link, render


def test_the_first_broken_link_is_told_first() -> None:
    """Two links are broken: the earlier is the diagnosis with its remedy, the later one follows, hints come last."""
    diagnosis = Diagnosis(
        links=(
            Examined(link=Link.VERSIONS, note="all there"),
            Examined(link=Link.IMPORTS, findings=(Finding(what="no module", where="a.py", remedy="install it"),)),
            Examined(link=Link.FIXTURES, unknown="not every module can be imported"),
            Examined(link=Link.TESTS, findings=(Finding(what="asserts nothing", is_hint=True), Finding(what="a mock"))),
        )
    )
    assert Link.IMPORTS == diagnosis.links[1].link == (diagnosis.first_broken or diagnosis.links[0]).link
    assert render(diagnosis).splitlines() == [
        "holds    versions       all there",
        "broken   imports        no module",
        "unknown  fixtures       not every module can be imported",
        "broken   tests          a mock",
        "",
        "first broken link: imports",
        "  a.py: no module",
        "    hint: install it",
        "",
        "also broken, perhaps because of it: tests",
        "  a mock",
        "",
        "hints:",
        "  asserts nothing",
    ]


def test_a_link_that_could_not_be_looked_at_is_not_sound() -> None:
    """Nothing broken is not the same as everything well."""
    diagnosis = Diagnosis(links=(Examined(link=Link.SERVICES, unknown="not asked"),))
    assert (Condition.UNKNOWN, False, None) == (diagnosis.links[0].condition, diagnosis.is_sound, diagnosis.first_broken)


def test_a_fact_that_was_cut_off_is_left_out() -> None:
    """The child may be killed while it writes: what stands before the cut counts."""
    facts = (ImportFailed(path="a.py", kind="ImportError", message="m", chain=("a.py:1: x",)), Collected(tests=2))
    text = "".join(f"{render_fact(fact)}\n" for fact in facts)
    assert facts == parse_facts(text)
    assert facts[:1] == parse_facts(text[:-5])
