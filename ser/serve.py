"""`ser serve RUN`: a trained run as a web page and an HTTP API."""

import sys

from ser.command import DONE, Parser, log_to_terminal, run_command

EPILOG = """\
Open the address that it prints for the page; POST a file to /predict, /timeline or /explain for JSON:
    curl -F file=@clip.wav http://127.0.0.1:8000/predict
/openapi.json describes every field, /metrics is for Prometheus, /health for whoever watches the server.

Only this machine reaches the server, unless --host says otherwise; then a token is needed, which other programs send as
'Authorization: Bearer TOKEN' and for which the page asks. SER_TOKEN in the environment is read where --token is not
given: what is on a command line, other users of the machine can see.
Recordings are held in memory while they are answered, and never written anywhere.
/health has status 503 while the model is loaded, stuck or dead, or the server is ending.
Ctrl-C or SIGTERM ends it: what was begun is answered, or refused after 4 s. Exit code: 0 done, 2 refused."""


def parser():
    """The command line of ser serve."""
    p = Parser(prog='ser serve', description=__doc__, epilog=EPILOG)
    p.add_argument('run', metavar='RUN', help='the run directory of a trained model')
    p.add_argument('--host', default='127.0.0.1', metavar='ADDRESS', help='default: 127.0.0.1, this machine alone')
    p.add_argument('--port', type=int, default=8000, metavar='N', help='default: 8000; 0 takes any that is free')
    p.add_argument('--token', metavar='TOKEN', help='what every request must bring (default: SER_TOKEN, if set)')
    p.add_argument('--device', metavar='NAME', choices=['auto', 'cpu', 'cuda', 'mps'], default='auto',
                   help='auto (default), cpu, cuda or mps')
    p.add_argument('--threads', type=int, metavar='N', help="of the model's arithmetic (default: torch's choice)")
    limits = p.add_argument_group('limits')
    limits.add_argument('--batch', type=int, default=16, metavar='N', help='clips heard at once (default: 16)')
    limits.add_argument('--wait-ms', type=float, default=5.0, metavar='MS',
                        help='longest wait for a fuller batch; none while no request is coming (default: 5)')
    limits.add_argument('--queue', type=int, default=128, metavar='N',
                        help='requests at once; further ones get 429 (default: 128)')
    limits.add_argument('--max-bytes', type=int, default=64 << 20, metavar='N', help='of a file (default: 64 MiB)')
    limits.add_argument('--max-seconds', type=float, default=600.0, metavar='S', help='of a recording (default: 600)')
    limits.add_argument('--timeout', type=float, default=60.0, metavar='S',
                        help='to receive and answer a request (default: 60)')
    p.add_argument('--access-log', action='store_true', help='a line for every request')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    import os

    from ser.errors import SerError, install
    from ser.serving.limits import Limits, check_token

    limits = Limits(args.max_bytes, args.max_seconds, args.queue, args.timeout, args.batch, args.wait_ms)
    limits.check()
    if args.threads is not None and args.threads < 1:
        raise SerError(f'--threads {args.threads}: at least 1 is wanted')
    token = os.environ.get('SER_TOKEN') or None if args.token is None else args.token
    check_token(args.host, token)
    # Before torch and friends, which take seconds to import.
    from ser.training.run import open_run

    open_run(args.run)
    try:
        from ser.serving.loading import told_to_wait
        from ser.serving.server import listen, serve
    except ModuleNotFoundError as error:
        if error.name not in ('fastapi', 'uvicorn', 'python_multipart', 'starlette'):
            raise
        raise SerError(f'ser serve: {error.name} is not installed: {install("web")}') from None
    log_to_terminal()
    with listen(args.host, args.port) as listener:
        with told_to_wait(listener):
            service = _loaded(args, limits)
        try:
            serve(service, listener, args.host, token, args.access_log)
        finally:
            ended = service.close()
    if not ended:
        _leave()


def _loaded(args, limits):
    from ser.inference.predictor import Predictor
    from ser.serving.service import Service

    service = Service(args.run, Predictor(args.run, args.device), limits, args.threads)
    service.warm_up()
    return service


def _leave():
    """End the process now: a thread is deep inside a library, which an end in order would take away from under it."""
    import logging
    import os

    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(DONE)


if __name__ == '__main__':
    sys.exit(main())
