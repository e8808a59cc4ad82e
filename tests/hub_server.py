"""A stand-in for a model hub on this machine: as much of its HTTP interface as its own library needs for models.

Repositories, branches, commits, small files in the commit and large ones by LFS; anonymous reading, one login.
"""

import base64
import contextlib
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = 'hf_of_the_tests'
USER = 'tester'


class Hub:
    """repositories: 'owner/name' -> {'private', 'branches': branch -> [commit id, {name -> bytes}]}."""

    def __init__(self):
        self.repositories = {}
        self.requests = []
        self.large = {}
        self.address = None
        # Called with the hub before a commit is taken: what somebody else does meanwhile.
        self.meanwhile = None

    def add(self, name, files, private=False):
        """Make a repository with files (name -> bytes)."""
        self.repositories[name] = {'private': private, 'branches': {'main': [None, {}]}}
        self.put(name, files)

    def put(self, name, files, branch='main'):
        """Put files into a branch; returns the commit."""
        held = self.repositories[name]['branches'].setdefault(branch, [None, {}])
        held[1] = {**held[1], **files}
        told = json.dumps([held[0], sorted((key, hashlib.sha1(data).hexdigest()) for key, data in held[1].items())])
        held[0] = hashlib.sha1(told.encode()).hexdigest()
        return held[0]

    def files(self, name, branch='main'):
        """name -> bytes of a branch."""
        return self.repositories[name]['branches'][branch][1]

    def at(self, name, revision):
        """[commit, files] of a branch or commit, or None."""
        branches = self.repositories[name]['branches']
        return branches.get(revision) or next((held for held in branches.values() if held[0] == revision), None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def _routes(self):
        hub, repo = self.server.hub, r'(?P<repo>[^/]+/[^/]+)'
        return hub, ((r'GET', r'/api/whoami-v2', self._whoami), ('POST', r'/api/repos/create', self._create),
                     ('POST', r'/api/validate-yaml', self._validate),
                     ('GET', rf'/api/models/{repo}(/revision/(?P<rev>.+))?', self._info),
                     ('POST', rf'/api/models/{repo}/preupload/(?P<rev>.+)', self._preupload),
                     ('POST', rf'/api/models/{repo}/branch/(?P<rev>.+)', self._branch),
                     ('POST', rf'/api/models/{repo}/commit/(?P<rev>.+)', self._commit),
                     ('POST', rf'/{repo}\.git/info/lfs/objects/batch', self._batch),
                     ('PUT', r'/large/(?P<oid>[0-9a-f]{64})', self._large),
                     ('GET', rf'/{repo}/resolve/(?P<rev>[^/]+)/(?P<file>.+)', self._file))

    def _serve(self):
        length = int(self.headers.get('Content-Length') or 0)
        self.body = self.rfile.read(length)
        path = unquote(urlsplit(self.path).path)
        hub, routes = self._routes()
        hub.requests.append((self.command, path))
        for method, pattern, answer in routes:
            match = re.fullmatch(pattern, path)
            if match and method in (self.command, 'GET' if self.command == 'HEAD' else ''):
                found = match.groupdict()
                repo = found.get('repo')
                if repo is not None and (repo not in hub.repositories or (
                        hub.repositories[repo]['private'] and not self._known())):
                    return self._say({'error': 'Repository not found'}, 404, {'X-Error-Code': 'RepoNotFound'})
                if self.command in ('POST', 'PUT') and answer not in (self._validate, self._large) and \
                        not self._known():
                    return self._say({'error': 'Invalid username or password.'}, 401)
                return answer(hub, **found)
        return self._say({'error': 'nothing here'}, 404)

    do_GET = do_HEAD = do_POST = do_PUT = _serve

    def _known(self):
        return self.headers.get('Authorization') == f'Bearer {TOKEN}'

    def _say(self, value, status=200, headers=()):
        self._send(json.dumps(value).encode(), status, {'Content-Type': 'application/json', **dict(headers)})

    def _send(self, data, status=200, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(data)

    def _whoami(self, hub):
        if not self._known():
            return self._say({'error': 'Invalid credentials'}, 401)
        return self._say({'type': 'user', 'name': USER, 'orgs': [], 'auth': {'accessToken': {'role': 'write'}}})

    def _create(self, hub):
        asked = json.loads(self.body)
        name = f"{asked.get('organization') or USER}/{asked['name']}"
        if asked.get('organization') not in (None, USER):
            return self._say({'error': 'You don\'t have the rights to create a model under this namespace'}, 403)
        if name in hub.repositories:
            return self._say({'error': 'You already created this model repo'}, 409)
        hub.add(name, {'.gitattributes': b'*.safetensors filter=lfs'},
                asked.get('visibility') == 'private' or bool(asked.get('private')))
        return self._say({'url': f'{hub.address}/{name}', 'name': name, 'id': '1'})

    def _validate(self, hub):
        return self._say({'errors': [], 'warnings': []})

    def _info(self, hub, repo, rev=None):
        held = hub.at(repo, rev or 'main')
        if held is None:
            return self._say({'error': 'Invalid rev id'}, 404, {'X-Error-Code': 'RevisionNotFound'})
        return self._say({'_id': '1', 'id': repo, 'modelId': repo, 'sha': held[0], 'tags': [],
                          'private': hub.repositories[repo]['private'],
                          'siblings': [{'rfilename': name, 'size': len(data)} for name, data in held[1].items()]})

    def _preupload(self, hub, repo, rev):
        files = [{'path': one['path'], 'shouldIgnore': False, 'oid': None,
                  'uploadMode': 'lfs' if one['path'].endswith('.safetensors') else 'regular'}
                 for one in json.loads(self.body)['files']]
        return self._say({'files': files})

    def _branch(self, hub, repo, rev):
        branches = hub.repositories[repo]['branches']
        if rev in branches:
            return self._say({'error': 'Reference already exists'}, 409)
        branches[rev] = [branches['main'][0], dict(branches['main'][1])]
        return self._say({})

    def _batch(self, hub, repo):
        return self._say({'transfer': 'basic', 'objects': [
            {**one, 'actions': {'upload': {'href': f"{hub.address}/large/{one['oid']}"}}}
            for one in json.loads(self.body)['objects']]})

    def _large(self, hub, oid):
        if hashlib.sha256(self.body).hexdigest() != oid:
            return self._say({'error': 'not that'}, 400)
        hub.large[oid] = self.body
        return self._send(b'')

    def _commit(self, hub, repo, rev):
        if hub.meanwhile:
            hub.meanwhile(hub)
        files, (header, *rest) = {}, [json.loads(line) for line in self.body.splitlines()]
        parent = header['value'].get('parentCommit')
        if parent and parent != hub.at(repo, rev)[0]:
            return self._say({'error': 'A commit has happened since. Please refresh and try again.'}, 412)
        for one in rest:
            value = one['value']
            files[value['path']] = base64.b64decode(value['content']) if one['key'] == 'file' else \
                hub.large[value['oid']]
        commit = hub.put(repo, files, rev)
        return self._say({'success': True, 'commitOid': commit, 'commitUrl': f'{hub.address}/{repo}/commit/{commit}'})

    def _file(self, hub, repo, rev, file):
        held = hub.at(repo, rev)
        if held is None or file not in held[1]:
            return self._say({'error': 'Entry not found'}, 404, {'X-Error-Code': 'EntryNotFound'})
        data = held[1][file]
        return self._send(data, headers={'ETag': f'"{hashlib.sha1(data).hexdigest()}"', 'X-Repo-Commit': held[0]})


@contextlib.contextmanager
def serving():
    """A Hub at its `address`, until the block ends."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    server.hub = hub = Hub()
    hub.address = f'http://127.0.0.1:{server.server_address[1]}'
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
