"""A model small enough for tests: Mel only, 32 px, 16 kHz, a two-stage MViTv2."""

ASSIGNMENTS = [
    'data.sample_rate=16000', 'data.workers=0', 'features.sample_rate=16000', 'features.image.size=32',
    'features.mel.n_fft=512', 'features.mel.bins=32', 'model.views.cqt=null',
    'model.views.mel={backbone: {kind: mvitv2, depths: [1, 1], embed_dim: [8, 16], num_heads: [1, 2]}}',
    'model.head.hidden=16', 'training.epochs=3', 'training.batch_size=8', 'training.optimizer.lr=0.003',
    'augment.spec_augment={kind: masks}', 'augment.mixup.alpha=0.3', 'training.ema=0.9', 'run.threads=1',
    'evaluation.bootstrap=200',
]
