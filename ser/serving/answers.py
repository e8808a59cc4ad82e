"""What the server answers, field by field: the schema that /openapi.json shows."""

from pydantic import BaseModel, ConfigDict, Field

Seconds = float
_LIKELIEST = 'Probability of the likeliest class, 0 to 1'


class Answer(BaseModel):
    """Frozen; fields that a later version adds are passed on."""

    model_config = ConfigDict(frozen=True, extra='allow')


class Failure(Answer):
    """Why there is no answer."""

    error: str = Field(description='One sentence for people', examples=['clip.wav is empty: it holds no bytes'])


class Prediction(Answer):
    """What is said of one recording as a whole."""

    file: str = Field(description='Name of the file as it was sent, without folders', examples=['clip.wav'])
    seconds: Seconds = Field(description='Length of the recording', examples=[3.4])
    emotion: str = Field(description="A class of the model, 'unknown' where it is not sure enough to name one, or "
                                     "'silence' where nothing is to be heard", examples=['happy'])
    likeliest: str | None = Field(description='The class of the highest probability; null of silence',
                                  examples=['happy'])
    confidence: float | None = Field(description=f'{_LIKELIEST}; null of silence', examples=[0.81])
    silent: bool = Field(description='Whether nothing is to be heard: the model is then not asked')
    short: bool = Field(description='Whether it is shorter than any syllable, 0.1 s: what is said of it says little')
    calibrated: bool = Field(description='Whether the probabilities are calibrated on validation recordings')
    threshold: float | None = Field(description="Confidence below which 'unknown' is said; null: never",
                                    examples=[0.45])
    probabilities: dict[str, float] = Field(description='Class to probability; they sum to 1; empty of silence',
                                            examples=[{'happy': 0.81, 'sad': 0.19}])


class Window(Answer):
    """One window of a timeline."""

    start: Seconds = Field(description='In seconds of the recording', examples=[0.0])
    end: Seconds = Field(description='In seconds of the recording', examples=[3.0])
    silent: bool = Field(description='Whether nothing is to be heard in it')
    emotion: str = Field(description="A class, 'unknown' or 'silence'", examples=['happy'])
    confidence: float | None = Field(description=f'{_LIKELIEST}; null where it is silent', examples=[0.81])
    probabilities: dict[str, float] = Field(description='Class to probability; empty where it is silent',
                                            examples=[{'happy': 0.81, 'sad': 0.19}])


class Segment(Answer):
    """A stretch of the recording with one emotion."""

    start: Seconds = Field(description='In seconds of the recording', examples=[0.0])
    end: Seconds = Field(description='In seconds of the recording', examples=[4.5])
    emotion: str = Field(description="A class, 'unknown' or 'silence'", examples=['happy'])
    confidence: float | None = Field(description='Mean confidence of its windows; null for silence', examples=[0.7])


class Timeline(Answer):
    """Emotion over time."""

    file: str = Field(description='Name of the file as it was sent, without folders', examples=['talk.mp3'])
    seconds: Seconds = Field(description='Length of the recording', examples=[61.5])
    window_seconds: Seconds = Field(description='Length of a window', examples=[3.0])
    hop_seconds: Seconds = Field(description='From the start of a window to that of the next', examples=[1.0])
    classes: list[str] = Field(description='Classes of the model, in its order', examples=[['happy', 'sad']])
    calibrated: bool = Field(description='Whether the probabilities are calibrated')
    windows: list[Window]
    segments: list[Segment]


class Waveform(Answer):
    """A waveform small enough to draw."""

    peaks: list[tuple[float, float]] = Field(description='Lowest and highest sample, -1 to 1, of equal stretches, 600 '
                                                         'at most', examples=[[[-0.1, 0.12]]])
    sample_rate: int = Field(description='Hz, of what the model got', examples=[16000])


class View(Answer):
    """One of the pictures that the model sees of a recording."""

    name: str = Field(description='Such as mel, cqt or waveform', examples=['mel'])
    png: str = Field(description='PNG as a data URI; time from left to right, low frequencies at the bottom',
                     examples=['data:image/png;base64,iVBORw0KGgo='])
    saliency: str | None = Field(description='Transparent PNG of the same size to lay over it: bright where the answer '
                                             'leans on the picture', examples=['data:image/png;base64,iVBORw0KGgo='])


class Attention(Answer):
    """How much each moment weighs in the answer."""

    start: Seconds = Field(description='Of the first weight, in seconds of the recording', examples=[0.0])
    end: Seconds = Field(description='Of the last weight, in seconds of the recording', examples=[3.4])
    weights: list[float] = Field(description='Of equal stretches from start to end; they sum to 1',
                                 examples=[[0.2, 0.5, 0.3]])


class Explanation(Answer):
    """What the model used of a recording."""

    seconds: Seconds = Field(description='Length of the stretch that is explained', examples=[3.4])
    start: Seconds = Field(description='Where it begins in the recording', examples=[0.0])
    waveform: Waveform
    views: list[View]
    attention: Attention | None = Field(description='null for a model that attends to no moment in particular')


class Health(Answer):
    """Whether the server answers."""

    status: str = Field(description="'ok'; with status 503: 'loading' before the model is there, 'stuck' where it has "
                                    "been at one batch for longer than a request may take, 'dead' where it will answer "
                                    "no more, 'stopping' while what was begun is finished", examples=['ok'])
    model: str | None = Field(None, description='Name of the model, once it is there', examples=['crnn-ravdess'])
    error: str | None = Field(None, description='Why nothing is answered; only with status 503',
                              examples=['the server is stopping'])


class LimitFacts(Answer):
    """What one request may bring."""

    max_bytes: int = Field(description='Bytes of a file', examples=[67108864])
    max_seconds: Seconds = Field(description='Seconds of a recording', examples=[600.0])


class ModelFacts(Answer):
    """The model that answers here."""

    name: str = Field(description='Name of its run', examples=['crnn-ravdess'])
    system: str = Field(description='Kind of model and what it sees', examples=['crnn'])
    classes: list[str] = Field(description='Classes, in its order', examples=[['happy', 'sad']])
    sample_rate: int = Field(description='Hz that recordings are resampled to', examples=[16000])
    score: str | None = Field(description='Its test score in one line, with protocol and interval; null: not tested',
                              examples=['test (6 unseen speakers, 300 clips): UA 57.8 % [45.5, 71.3]'])
    calibrated: bool = Field(description='Whether its probabilities are calibrated on validation recordings')
    threshold: float | None = Field(description="Confidence below which 'unknown' is said; null: never",
                                    examples=[0.45])
    limits: LimitFacts
    notes: list[str] = Field(description='What to know before believing an answer',
                             examples=[['trained on acted speech']])
