"""Files that one line of the project cannot use: which of a folder's files it was is data. Pure."""

import re
from collections.abc import Hashable, Sequence

from ci_tools.reports.grievance import Group, merge_by
from ci_tools.reports.masks import kind_of_file
from ci_tools.reports.places import is_test, places_of, short
from ci_tools.reports.roots import Root, root_of
from ci_tools.reports.twins import FEWEST_KIN, MOST_REPEATED

_ERRNO = re.compile(r"\[Errno \d+\]")
_PATH = re.compile(r": '([^'\n]+)'|: \"([^\"\n]+)\"")
_SEPARATOR = re.compile(r"[\\/]")


def merge_folders(groups: Sequence[Group]) -> list[Group]:
    """Join files of one folder that one line cannot use, where that line, or one of their names, shows that they are many."""

    def line(group: Group) -> Hashable:
        origin = root_of(group.members[0].failure)
        folder, _ = _file_of(origin)
        number = _ERRNO.match(origin.message)
        ours = places_of(origin, "")
        if not folder or number is None or not ours or is_test(ours[-1]):
            return None
        return group.signature.type_name, number[0], short(ours[-1].path), ours[-1].function, folder

    return merge_by(groups, line, lambda kin: any(map(_is_of_many, kin)) and not _are_names(kin))


def _are_names(kin: Sequence[Group]) -> bool:
    """Whether these are two files, and each comes back in failure after failure."""
    names = {member.signature.hard for group in kin for member in group.members}
    return len(names) < FEWEST_KIN and sum(len(group.members) for group in kin) > MOST_REPEATED * len(names)


def _file_of(origin: Root) -> tuple[str, str]:
    """Folder and name of the file that an error of the operating system names; both empty where it names none or two."""
    found = [one or other for one, other in _PATH.findall(origin.message.partition("\n")[0])]
    if len(found) != 1:
        return "", ""
    *folders, name = _SEPARATOR.split(found[0].rstrip("/\\"))
    return (folders[-1] if folders else ""), name


def _is_of_many(group: Group) -> bool:
    for member in group.members:
        origin = root_of(member.failure)
        folder, name = _file_of(origin)
        if kind_of_file(f"{folder}/{name}") != name:  # numbered, or made up
            return True
        source = places_of(origin, "")[-1].source
        if name not in source and re.search(rf"{re.escape(folder)}(?:/\{{|['\"]\s*[/,+]\s*[A-Za-z_])", source):
            return True
    return False
