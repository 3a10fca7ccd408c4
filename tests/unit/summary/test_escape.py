import re
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ci_tools.summary.escape import (
    cell_code,
    command_data,
    command_property,
    fence,
    html_text,
    inline_code,
    log_text,
    markdown_text,
    one_line,
    size_of,
    truncate_middle,
    visible,
)

NASTY = (
    "```\n</details><img src=x>",
    "a|b\\|c\\",
    "@all #12 GH-7 https://evil.example www.evil.example a@b.example",
    "<script>alert(1)</script> &amp; <!-- x -->",
    "*b* _i_ __x__ [l](u) ![i](u) ~~s~~ $m$ # h",
    "::stop-commands::x\n \u2003::add-mask::passed\r::error::x\n##[add-mask]x",
    "\x1b[31mred\x1b[0m\u202egnp.exe\u200b\udc80\x00",
    "`` ` ```` `",
)
texts = st.one_of(st.text(max_size=200), st.sampled_from(NASTY), st.text(alphabet="`|\\<>@#*_[]()!~$:.\r\n \tab1&;", max_size=60))
renderer = MarkdownIt("gfm-like", {"html": True, "linkify": True})


def commands(output: str) -> list[tuple[str, dict[str, str], str]]:
    """The commands that a GitHub runner takes out of an output, read as its source does: per line, trimmed, ``##[`` anywhere."""
    found = []
    for line in re.split(r"\r\n|\r|\n", output):
        match = re.match(r"::(?P<name>[\w-]+)(?: (?P<properties>[^:]*))?::(?P<data>.*)", line.lstrip(), re.DOTALL)
        if match:
            properties = dict(part.split("=", 1) for part in (match["properties"] or "").split(",") if "=" in part)
            found.append((match["name"], {name: _decoded(value) for name, value in properties.items()}, _decoded(match["data"])))
        elif "##[" in line and "]" in line.split("##[", 1)[1]:
            found.append((line.split("##[", 1)[1].split("]", 1)[0], {}, ""))
    return found


def _decoded(text: str) -> str:
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def test_every_invisible_character_is_made_visible() -> None:
    """Controls, formats, separators and surrogates of this Python's Unicode never come through as they are."""
    kept = {"\t", "\n"}
    hidden = [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in kept
    ]
    through = [f"U+{ord(character):04X}" for character in hidden if character in visible(character)]
    assert through == []


@given(texts)
def test_visible_text_is_utf8_and_stable(text: str) -> None:
    """What is visible can be encoded, and making it visible again changes nothing."""
    once = visible(text)
    once.encode("utf-8")
    assert visible(once) == once


@given(texts)
@example("``` `a")
@example(" ` ")
def test_inline_code_is_one_code_element(text: str) -> None:
    """A Markdown renderer makes exactly one code element of it, whose text is the text."""
    tokens = renderer.parseInline("x " + inline_code(text) + " y")[0].children
    assert tokens is not None
    assert [token.type for token in tokens] == ["text", "code_inline", "text"]
    assert tokens[1].content.strip() == one_line(text).strip()


@given(texts)
def test_a_cell_stays_a_cell(text: str) -> None:
    """In a table it neither ends its cell nor its row, and no link, image or element of its own comes out of it."""
    table = f"| a | b |\n| --- | --- |\n| {cell_code(text)} | end |\n"
    tokens = renderer.parse(table)
    assert [token.type for token in tokens].count("td_open") == 2
    inline = [token for token in tokens if token.type == "inline"][2]
    kinds = {child.type for child in inline.children or ()}
    assert kinds <= {"html_inline", "text", "text_special", "softbreak"}
    elements = [child.content for child in inline.children or () if child.type == "html_inline"]
    assert elements in (["<code>", "</code>"], [])


@given(texts)
def test_a_fence_holds_everything(text: str) -> None:
    """A Markdown renderer makes one fence of it and of nothing else, with the visible text inside."""
    tokens = renderer.parse(f"before\n\n{fence(text)}\n\nafter")
    assert [token.type for token in tokens if token.type != "inline"] == [
        "paragraph_open",
        "paragraph_close",
        "fence",
        "paragraph_open",
        "paragraph_close",
    ]
    assert tokens[3].content.rstrip("\n") == visible(text).rstrip("\n")


@given(texts)
@example("GH-7 www.evil.example @all #1 https://evil.example")
def test_markdown_text_is_only_text(text: str) -> None:
    """A paragraph of it holds text alone: no element, link, image or emphasis, and nothing that GitHub turns into a reference."""
    tokens = renderer.parseInline("x " + markdown_text(text))[0].children
    assert tokens is not None
    assert {token.type for token in tokens} <= {"text", "text_special"}
    shown = "".join(token.content for token in tokens)
    assert re.search(r"@\w|#\d|GH-\d|://|www\.\w", shown, re.IGNORECASE) is None


@given(texts)
def test_command_data_is_one_command(text: str) -> None:
    """The runner takes exactly one command out of it, with the visible text as its message."""
    found = commands(f"::error title={command_property(text)}::{command_data(text)}")
    assert len(found) == 1
    name, properties, message = found[0]
    assert name == "error"
    assert properties["title"] == one_line(text).replace("##[", "## [")
    assert message == "\n".join(visible(line) for line in re.split(r"\r\n|\r|\n", text)).replace("##[", "## [")


@given(texts)
def test_log_text_holds_no_command(text: str) -> None:
    """Printed to a job log, the runner takes no command out of it."""
    assert commands(log_text(text)) == []


def test_unescaped_text_would_be_a_command() -> None:
    """The reader of commands in this file does find them: the property above can fail."""
    assert commands(" \u2003::add-mask::x\rfoo ##[group]y") == [("add-mask", {}, "x"), ("group", {}, "")]


@given(texts)
def test_html_text_holds_no_markup(text: str) -> None:
    """No character that HTML could take for markup or for the end of an attribute is left."""
    assert re.search(r"[<>\"']|&(?!amp;|lt;|gt;|quot;|#x27;)", html_text(text)) is None


@given(st.text(max_size=400), st.integers(min_value=0, max_value=300))
def test_truncated_text_fits(text: str, budget: int) -> None:
    """Text is never longer in bytes than its budget, and untouched where it fits."""
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        size = budget + 1
    short = truncate_middle(text, budget)
    assert size_of(short) <= budget or short == text
    if size <= budget:
        assert short == text


def test_truncation_keeps_head_and_tail() -> None:
    """The cause stands at a traceback's end, its entry at its head: both stay."""
    short = truncate_middle("HEAD" + "é" * 1000 + "TAIL", 200)
    assert short.startswith("HEAD")
    assert short.endswith("TAIL")
    assert "2008 bytes" in short


@pytest.mark.parametrize("text", NASTY)
def test_one_line_is_one_line(text: str) -> None:
    """No line end of any kind is left, and no tab."""
    assert len(one_line(text).splitlines()) == 1
    assert "\t" not in one_line(text)
