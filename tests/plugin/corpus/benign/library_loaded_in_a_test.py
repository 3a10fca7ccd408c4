"""A library that sets itself up when it is loaded, for the first time in a test."""


def test_it():
    import decimal
    import sqlite3
    import xml.dom.minidom

    import jinja2

    assert jinja2.Template("{{ 1 }}").render() == "1"
    assert decimal.Decimal(1) and sqlite3 and xml.dom.minidom
