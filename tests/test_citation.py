"""How to cite this: a file that parses, of the version that is installed."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def test_the_citation_file_is_whole_and_of_this_version():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text(encoding='utf-8'))
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))['project']
    # A version such as 1.10 must not be read as a number.
    assert isinstance(citation['version'], str) and citation['version'] == project['version']
    assert citation['cff-version'] == '1.2.0' and citation['license'] == project['license'] == 'MIT'
    # Of the format's keys these must be there; the others are among those that it knows.
    assert {'cff-version', 'message', 'title', 'authors'} <= set(citation)
    assert set(citation) <= {'cff-version', 'message', 'title', 'authors', 'abstract', 'type', 'keywords', 'license',
                             'version'}
    assert citation['authors'] == [{'name': 'The ser developers'}] and citation['type'] == 'software'
