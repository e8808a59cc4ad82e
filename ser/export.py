"""`ser export RUN --format F`: a run as one file with its front end inside (ONNX, torch.export), as one safetensors
file, or a fine-tuned encoder as a transformers folder."""

import sys

from ser.command import DONE, SOME_BAD, Parser, log_to_terminal, run_command

EPILOG = """\
formats:
  onnx          RUN/export/model.onnx: runs in onnxruntime (Python, C++, browsers) with none of our code. Needs the
                extra [export].
  torch-export  RUN/export/model.pt2: torch.export.load(FILE).module(), with torch alone. Load only files you trust:
                such an archive may hold pickled objects. Those written here hold none, ONNX and safetensors never do.
  safetensors   RUN/export/model.safetensors: all weights, and the config, labels and calibration to rebuild the run:
                ser.exporting.weights.load_one_file(FILE).values(waveforms, lengths)
  transformers  RUN/export/transformers: a folder for AutoModelForAudioClassification.from_pretrained, logits to 1e-5.
                Needs [ssl], and a run of model.kind ssl with head 'projector' and mean pooling. The temperature
                that calibrates the logits is in its ser.json.

onnx and torch-export hold everything from samples to calibrated probabilities: waveforms float32 (batch, samples) in
[-1, 1] at the run's data rate and lengths int64 (batch,) in, probabilities float32 (batch, classes) out (values for
regression runs). Classes, rate, threshold, score and licences are in the file's metadata (ONNX: metadata_props;
torch-export and transformers: a file ser.json inside). Every format is compared with the run on up to 20 clips before
it is there; FILE.parity.json beside it holds the differences, size and latency on one core, and the metadata again
(facts), for runtimes that do not show it.

  ser export runs/mine --format onnx
  ser export runs/mine --format torch-export --out mine.pt2 --clips recordings/

Exit code: 0 done, 1 written although a decision differs from the run's (said loudly), 2 refused."""


def parser():
    """The command line of ser export."""
    p = Parser(prog='ser export', description=__doc__, epilog=EPILOG)
    p.add_argument('run', metavar='RUN', help='run directory')
    p.add_argument('--format', required=True, choices=['onnx', 'torch-export', 'safetensors', 'transformers'],
                   help='what to write')
    p.add_argument('--out', metavar='FILE', help='the file (transformers: folder) to make, which must not exist; '
                   'default: in RUN/export')
    p.add_argument('--clips', nargs='+', default=[], metavar='CLIP', help='audio files, folders or shards to compare '
                   "on (default: the run's test part, else synthetic speech)")
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    log_to_terminal()
    from ser.training.run import open_run

    open_run(args.run)  # before torch and friends, which take seconds to import
    from ser.exporting.export import export_run

    exported = export_run(args.run, args.format, args.out, args.clips)
    print('\n'.join(exported.lines))
    return DONE if exported.agrees else SOME_BAD


if __name__ == '__main__':
    sys.exit(main())
