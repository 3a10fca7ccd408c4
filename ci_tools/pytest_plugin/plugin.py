"""The pytest plugin: options, configure, registers the guards; hooks only."""
