"""The page of a run: one HTML file with everything in it, made from the run's files and, where they are there, its
shards."""

from dataclasses import replace
from pathlib import Path

from ser.errors import SerError
from ser.evaluation.folders import without_folders
from ser.files import write_whole
from ser.reports import CLIPS
from ser.reports.clip_facts import clip_facts
from ser.reports.clip_sections import clips_section, robustness_section
from ser.reports.confidence_sections import calibration_section, ranking_section
from ser.reports.contents import read_contents
from ser.reports.dimension_sections import dimension_section, scatter_section
from ser.reports.group_sections import group_section, speaker_section
from ser.reports.html import document
from ser.reports.provenance_sections import config_section, data_section, environment_section, members_section
from ser.reports.score_sections import (
    class_section,
    comparable_section,
    confusion_section,
    page_head,
    score_section,
)
from ser.reports.training_sections import curves_section, distribution_section, throughput_section

PAGE = 'report.html'

_OF_RUNS = ('Learning curves', 'Clips per class and part', 'Clips per part', 'Throughput', 'Config', 'Environment')
_OF_CLASSES = ('Robustness', 'Clips to listen to')
STYLE = Path(__file__).with_name('style.css')


def page_path(run, out=None):
    """Where a page goes: `out`, or report.html in the run. Raises SerError for a folder."""
    path = Path(run) / PAGE if out is None else Path(out)
    if path.is_dir():
        raise SerError(f'--out {path}: is a folder. Name a file, such as {path / PAGE}')
    return path


def run_page(run, shards=None, clips=None, device='auto'):
    """(the page as text, lines on what it lacks) of a run directory, a folder of folds or seeds, or what `ser evaluate`
    wrote.

    shards: patterns that say where the test clips are now; default: those that config.yaml names. clips: so many to
    listen to of each kind; None: CLIPS where that can be done, else the page says why not. device: of the model that
    is asked about these clips. A file that is missing is said in its section. Raises SerError for a folder without
    scores, broken files, scores at odds with predictions.csv, and `shards` or `clips` that cannot be had.
    """
    contents = read_contents(run)
    facts = clip_facts(contents, shards)
    exemplars, reason = _exemplars(contents, facts, shards, clips, device)
    corpora = tuple(sorted(set(facts.words.get('corpus', {}).values())))
    of_task = [dimension_section(contents), scatter_section(contents)] if contents.of_dimensions else \
        [confusion_section(contents), class_section(contents)]
    confidence = [] if contents.of_dimensions else [ranking_section(contents), calibration_section(contents)]
    sections = [
        score_section(contents), comparable_section(contents, corpora), members_section(contents), *of_task,
        curves_section(contents), *confidence[:1], distribution_section(contents), speaker_section(contents),
        group_section(contents, facts), robustness_section(contents), *confidence[1:],
        clips_section(contents, exemplars, reason), throughput_section(contents), data_section(contents, corpora),
        config_section(contents), environment_section(contents)]
    sections = [one for one in sections if one is not None and not _out_of_place(one, contents)]
    # People who are asked to find shards want the folder; whoever the page is passed on to does not.
    shown = [replace(one, missing=without_folders(one.missing)) for one in sections]
    text = document(contents.name, page_head(contents), shown, style(),
                    'One file of {size}; it loads nothing and runs no script. Every number carries its full digits '
                    'and the file it comes from (value and data-of of its element). Made by ser report.')
    return text, [f'{one.title}: {one.missing}' for one in sections if one.missing is not None]


def _out_of_place(section, contents):
    """Whether nobody would look for an empty section on this kind of page."""
    lacks = section.missing is not None
    of_runs = section.title in _OF_RUNS and contents.kind in ('ensemble', 'other shards')
    of_classes = section.title in _OF_CLASSES and (contents.kind != 'run' or contents.of_dimensions)
    return lacks and (of_runs or of_classes)


def _exemplars(contents, facts, shards, clips, device):
    """(Exemplars, why there are none)."""
    if clips == 0:
        return (), 'None were asked for'
    if contents.kind != 'run' or contents.of_dimensions:
        if clips is not None:
            raise SerError(f'--clips {clips}: {contents.path} is no single run that tells classes apart; only of such '
                           'a run clips are chosen. Leave --clips away')
        return (), 'They are chosen of single runs that tell classes apart'
    if not facts.found:
        if clips is not None:
            raise SerError(f'--clips {clips}: {facts.problem}')
        return (), f'The audio is not at hand: {facts.problem}'
    from ser.reports.exemplars import exemplars_of

    try:
        return exemplars_of(contents.path, shards, CLIPS if clips is None else clips, device), None
    except SerError as error:
        if clips is not None:
            raise
        return (), f'They could not be chosen: {error}'


def style():
    """The style sheet of a page, which goes into it."""
    return STYLE.read_text(encoding='utf-8')


def write_page(path, text):
    """Write a page, whole or not at all."""
    write_whole(path, text)
