"""Where a score comes from: data, config, environment; and the runs that a joint score is made of."""

import yaml

from ser.corpora import CORPORA
from ser.evaluation.dimension_words import two_digits
from ser.evaluation.tables import counted, percent
from ser.reports.html import Section, Value, details, element, listed, paragraph, pointer, table
from ser.reports.score_sections import SCORES, share

_DATA = 'data.json'


def data_section(contents, corpora=()):
    """Digest, shards, counts and the audit, from data.json; corpora: names where known."""
    title, data = 'Data', contents.data
    if data is None:
        reason = {'folds': 'Each fold has its own data.json.', 'seeds': 'Each seed has its own data.json.'}
        return Section(title, missing=reason.get(contents.kind, 'data.json is missing.'))
    facts = [(words, Value(str(data[key]), data[key], pointer(_DATA, key))) for key, words in (
        ('clips', 'clips'), ('digest', 'digest of the data'), ('split', 'digest of the split'),
        ('protocol', 'protocol'), ('protocol_seed', 'seed of the protocol'), ('balance', 'balancing'),
        ('fold', 'fold'), ('folds', 'of folds')) if isinstance(data.get(key), (str, int)) and data[key] != '']
    for key, words in (('dropped', 'labels left out'), ('ignored_members', 'members passed over')):
        if isinstance(data.get(key), dict) and data[key]:
            facts.append((words, ', '.join(f'{name}: {count}' for name, count in data[key].items())))
    return Section(title, (
        table('From data.json', ('', ''), facts, 'll') if facts else None, _corpora_table(corpora),
        _shards(data.get('shards')), *_audit(data.get('audit'))))


def _corpora_table(corpora):
    known = [(CORPORA[name].facts.title, name, CORPORA[name].facts.licence, CORPORA[name].facts.language)
             for name in corpora if name in CORPORA]
    return table('Corpora', ('corpus', 'name', 'licence', 'language'), known, 'llll') if known else None


def _shards(shards):
    rows = [(shard['name'], element('code', str(shard.get('sha256', '')))) for shard in shards or ()
            if isinstance(shard, dict) and 'name' in shard]
    return details(counted(len(rows), 'shard'), table('Shards and their sha256', ('shard', 'sha256'), rows, 'll')) \
        if rows else None


def _audit(audit):
    if not isinstance(audit, dict):
        return [paragraph('No audit: this run is from before there was one, or it was switched off.')]
    findings = [found for found in audit.get('findings', ()) if isinstance(found, dict)]
    texts = [f"{found.get('severity', 'note')}: {found.get('text', '')}" for found in findings]
    return [paragraph(f"Audit of the split: {audit.get('verdict', 'no verdict')}."),
            details(counted(len(texts), 'finding'), listed(texts)) if texts else None]


def config_section(contents):
    """The resolved config and the command, paths by name alone."""
    title = 'Config'
    if contents.config is None:
        return Section(title, missing='Each run inside has its own config.yaml.' if contents.kind in ('folds', 'seeds')
                       else 'No config.yaml: nothing was trained for this score.')
    command = (paragraph('Trained by'), element('pre', contents.command)) if contents.command else ()
    text = yaml.safe_dump(contents.config, sort_keys=False, allow_unicode=True)
    return Section(title, (*command, paragraph('Folders of the machine are left out, names are kept.', class_='note'),
                           details('config.yaml, resolved', element('pre', text))))


def environment_section(contents):
    """Machine and versions, from environment.json."""
    title, found = 'Environment', contents.environment
    if found is None:
        return Section(title, missing='environment.json is missing.' if contents.kind == 'run' else
                       'Each run inside has its own environment.json.' if contents.kind in ('folds', 'seeds') else
                       'Nothing was trained for this score.')
    rows = [(name.replace('_', ' '), str(value)) for name, value in found.items() if not isinstance(value, dict)]
    packages = found.get('packages') if isinstance(found.get('packages'), dict) else {}
    return Section(title, (
        table('Machine', ('', ''), rows, 'll'),
        details('Versions of packages', table('Packages', ('package', 'version'), [
            (name, 'not installed' if version is None else str(version)) for name, version in packages.items()], 'll'))
        if packages else None))


def members_section(contents):
    """Folds, seeds or members of a joint score; None for a single run."""
    metrics = contents.metrics
    if metrics.get('folds'):
        return _folds(metrics)
    if metrics.get('seeds'):
        return _seeds(metrics)
    if contents.kind == 'ensemble' and 'ensemble' in metrics:
        return _ensemble(metrics)
    return None


def _folds(metrics):
    score, dimensions = ('mean_ccc', True) if 'mean_ccc' in metrics else ('ua', False)
    rows = []
    for place, fold in enumerate(metrics['folds']):
        way = ('folds', place)
        value = Value(two_digits(fold[score]), fold[score], pointer(SCORES, *way, score)) if dimensions else \
            share(fold[score], *way, score)
        right = () if dimensions else (share(fold['wa'], *way, 'wa'),)
        rows.append((fold['run'], fold.get('tests', ''), value, *right,
                     Value(str(fold['n']), fold['n'], pointer(SCORES, *way, 'n')), fold['best_epoch'],
                     '; '.join(fold['notes'])))
    mean, spread = ('fold_ccc_mean', 'fold_ccc_sd') if dimensions else ('fold_ua_mean', 'fold_ua_sd')
    written = two_digits if dimensions else percent
    missing = metrics.get('missing_folds')
    return Section('Folds', (
        paragraph(f"Missing: fold {', '.join(map(str, missing))}.", class_='missing') if missing else None,
        table('Each fold alone', ('run', 'tests', *(('mean CCC',) if dimensions else ('UA', 'WA')), 'clips',
                                  'kept epoch', 'notes'), rows, f"ll{'rrr' if dimensions else 'rrrr'}l"),
        paragraph('Mean ', Value(written(metrics[mean]), metrics[mean], pointer(SCORES, mean)),
                  ', standard deviation ', Value(written(metrics[spread]), metrics[spread], pointer(SCORES, spread)),
                  '. The score above is of all clips together, not the mean of these.')))


def _seeds(metrics):
    rows = [(Value(str(one['seed']), one['seed'], pointer(SCORES, 'seeds', place, 'seed')), one['run'],
             *(share(one[name], 'seeds', place, name) for name in ('ua', 'wa', 'macro_f1')))
            for place, one in enumerate(metrics['seeds'])]
    ua, ensemble = metrics['seed_ua'], metrics.get('ensemble')
    together = None if not ensemble else paragraph(
        f"{ensemble['what'][0].upper()}{ensemble['what'][1:]}: UA ", share(ensemble['ua'], 'ensemble', 'ua'), ', WA ',
        share(ensemble['wa'], 'ensemble', 'wa'), f'. Another system than any of the runs, {len(rows)} times as dear.')
    return Section('Seeds', (
        table('Each seed alone', ('seed', 'run', 'UA', 'WA', 'macro-F1'), rows, 'rlrrr'),
        paragraph('UA: mean ', share(ua['mean'], 'seed_ua', 'mean'), ', standard deviation ',
                  share(ua['sd'], 'seed_ua', 'sd'), ', ', share(ua['min'], 'seed_ua', 'min'), ' to ',
                  share(ua['max'], 'seed_ua', 'max'), '.'), together))


def _ensemble(metrics):
    found = metrics['ensemble']
    rows = [(one['run'], *(share(one[name], 'ensemble', 'members', place, name) for name in ('ua', 'wa', 'macro_f1')))
            for place, one in enumerate(found['members'])]
    mean = found['member_ua']
    return Section('Members', (
        table('Each run alone', ('run', 'UA', 'WA', 'macro-F1'), rows),
        paragraph('Mean UA ', share(mean['mean'], 'ensemble', 'member_ua', 'mean'), ', standard deviation ',
                  share(mean['sd'], 'ensemble', 'member_ua', 'sd'), '.')))
