"""The gate of a mixture of experts: how much each expert counts for a clip."""

from torch import nn


class Gate(nn.Module):
    """softmax(logits / temperature) of a small network that sees every expert's vector.

    A temperature under 1 sharpens the choice, one above 1 evens it out.
    """

    def __init__(self, config, experts, width):
        """config: GateConfig. experts: how many. width: of their vectors."""
        super().__init__()
        self.temperature = config.temperature
        self.layers = nn.Sequential(nn.Linear(experts * width, config.hidden), nn.GELU(), nn.Dropout(config.dropout),
                                    nn.Linear(config.hidden, experts))

    def forward(self, vectors):
        """vectors (B, K, width) -> shares float32 (B, K), each row sums to 1."""
        return (self.layers(vectors.flatten(1)).float() / self.temperature).softmax(dim=1)


def imbalance(shares):
    """The squared coefficient of variation of the experts' mean shares over a batch, a scalar from 0 to K - 1.

    The importance loss of Shazeer et al. 2017 ("Outrageously large neural networks: the sparsely-gated
    mixture-of-experts layer"), whose importance of an expert is its gate values summed over the batch. shares float32
    (B, K), rows that sum to 1: their means sum to 1 as well and have the mean 1 / K.
    """
    importance = shares.mean(dim=0) * shares.shape[1]
    return (importance - 1).square().mean()
