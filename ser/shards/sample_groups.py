"""Members of a damaged shard to samples: what belongs to one key, wherever it lies."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Found:
    """A member that was read. suffix: without the dot, in lower case. sha256: of its bytes, hex.

    value: (rate in Hz, frames, whether its own checksum was there and right) of audio, the text or the JSON value of a
    label, None of anything else and of what is damaged.
    """

    name: str
    key: str
    suffix: str
    offset: int
    size: int
    sha256: str
    kind: str
    value: object = None


@dataclass
class Group:
    """Members of one key, no suffix twice. scattered: they were no neighbours."""

    key: str
    members: list = field(default_factory=list)
    scattered: bool = False

    @property
    def suffixes(self):
        """The suffixes of its members."""
        return {member.suffix for member in self.members}

    def of_kind(self, kind):
        """Its members of one kind."""
        return [member for member in self.members if member.kind == kind]


def grouped(members):
    """[Group] of Found members, in the order of their first ones.

    Neighbours of one key are a group until a suffix repeats. Groups of one key that have no suffix in common are one.
    """
    runs = []
    for member in members:
        if not runs or runs[-1].key != member.key or member.suffix in runs[-1].suffixes:
            runs.append(Group(member.key))
        runs[-1].members.append(member)
    groups, of_key = [], {}
    for run in runs:
        same = next((group for group in of_key.get(run.key, ()) if not group.suffixes & run.suffixes), None)
        if same is None:
            groups.append(run)
            of_key.setdefault(run.key, []).append(run)
        else:
            same.members += run.members
            same.scattered = True
    return groups
