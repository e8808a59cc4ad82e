"""The whole config: one field per section."""

from ser.config.augment import AugmentConfig
from ser.config.data import DataConfig
from ser.config.evaluation import EvaluationConfig
from ser.config.features import FeaturesConfig
from ser.config.model import MaxMVitConfig, ModelConfig
from ser.config.protocol import ProtocolConfig, SpeakerProtocol
from ser.config.run import RunConfig
from ser.config.section import Section
from ser.config.task import EmotionTask, TaskConfig
from ser.config.training import TrainingConfig


class Config(Section):
    """A complete, validated config."""

    data: DataConfig = DataConfig()
    """Shards, labels, reading."""
    task: TaskConfig = EmotionTask()
    """What is learnt."""
    protocol: ProtocolConfig = SpeakerProtocol()
    """Who is in which part."""
    features: FeaturesConfig = FeaturesConfig()
    """The front end."""
    augment: AugmentConfig = AugmentConfig()
    """Augmentation."""
    model: ModelConfig = MaxMVitConfig()
    """The system."""
    training: TrainingConfig = TrainingConfig()
    """Losses, optimisers, loop."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Scores."""
    run: RunConfig = RunConfig()
    """Seed, device, place."""
