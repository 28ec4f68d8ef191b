"""The graphs of classifiers and question answering, the same in all targets but for the dialect.

model    input_ids, attention_mask [B, S] -> logits [B, labels] of text-classification
         input_ids, attention_mask [B, S] -> start_logits, end_logits [B, S] of question-answering

The decoder reads the source too, one place behind (the start token, then all tokens but the last);
a text is classified by its state at the last EOS, which every row must have.
Source: transformers, BigBirdPegasusForSequenceClassification and ...ForQuestionAnswering.
"""

import torch
from torch import Tensor, nn

from pegasus_export.dialects import standard
from pegasus_export.graphs import whole
from pegasus_export.graphs.definition import GraphDefinition, Shape, SparseAttention, integers
from pegasus_export.models.pegasus import Pegasus

__all__ = ["classifier_graphs", "question_graphs", "run_head"]

_SOURCE = ("batch_size", "sequence_length")
_SIZES = {"batch_size": 2, "sequence_length": 5}


class ClassifierModel(nn.Module):
    """input_ids, attention_mask [B, S] -> logits [B, labels]."""

    def __init__(self, pegasus: Pegasus, attend_padded: whole.AttendPadded) -> None:
        super().__init__()
        self.pegasus = pegasus
        self.attend_padded = attend_padded

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = _read_twice(self.pegasus, input_ids, attention_mask, self.attend_padded)
        (eos,) = self.pegasus.config.eos_token_ids
        positions = torch.arange(input_ids.shape[1])
        # Padding is no end, though a checkpoint may pad with EOS.
        ends = (input_ids == eos).to(torch.int64) * attention_mask
        last = torch.amax(ends * positions, dim=1)  # [B]
        index = last[:, None, None].expand(-1, 1, hidden.shape[2])
        head = self.pegasus.classification_head
        assert head is not None
        logits: Tensor = head(torch.gather(hidden, 1, index)[:, 0])  # [B, 1, D] -> [B, D]
        return logits


class QuestionModel(nn.Module):
    """input_ids, attention_mask [B, S] -> start_logits, end_logits [B, S]."""

    def __init__(self, pegasus: Pegasus, attend_padded: whole.AttendPadded) -> None:
        super().__init__()
        self.pegasus = pegasus
        self.attend_padded = attend_padded

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        hidden = _read_twice(self.pegasus, input_ids, attention_mask, self.attend_padded)
        head = self.pegasus.qa_outputs
        assert head is not None
        logits = whole.batched(head(hidden.flatten(0, 1)), hidden)  # [B, S, 2]
        return logits[:, :, 0], logits[:, :, 1]


def classifier_graphs(
    pegasus: Pegasus, attend_padded: whole.AttendPadded, attention: SparseAttention | None
) -> list[GraphDefinition]:
    """The one graph of text-classification, in the target's dialect."""
    outputs: dict[str, Shape] = {"logits": (_SOURCE[0], len(pegasus.config.labels))}
    return [_model(ClassifierModel(pegasus, attend_padded), outputs, attention)]


def question_graphs(
    pegasus: Pegasus, attend_padded: whole.AttendPadded, attention: SparseAttention | None
) -> list[GraphDefinition]:
    """The one graph of question-answering, in the target's dialect."""
    outputs: dict[str, Shape] = {"start_logits": _SOURCE, "end_logits": _SOURCE}
    return [_model(QuestionModel(pegasus, attend_padded), outputs, attention)]


def run_head(pegasus: Pegasus, input_ids: Tensor, attention_mask: Tensor) -> list[Tensor]:
    """What the architecture's head makes of documents [B, S], eagerly; nothing without one."""
    attend = standard.attend_padded
    if pegasus.classification_head is not None:
        return [ClassifierModel(pegasus, attend)(input_ids, attention_mask)]
    if pegasus.qa_outputs is not None:
        return list(QuestionModel(pegasus, attend)(input_ids, attention_mask))
    return []


def _model(
    module: nn.Module, outputs: dict[str, Shape], attention: SparseAttention | None
) -> GraphDefinition:
    return GraphDefinition(
        name="model",
        module=module,
        arguments=(
            integers("input_ids", _SOURCE, _SIZES),
            integers("attention_mask", _SOURCE, _SIZES),
        ),
        outputs=outputs,
        attention=attention,
    )


def _read_twice(
    pegasus: Pegasus,
    input_ids: Tensor,
    attention_mask: Tensor,
    attend_padded: whole.AttendPadded,
) -> Tensor:
    """The decoder's hidden states [B, S, D] over the source itself."""
    encoded = whole.encode(pegasus, input_ids, attention_mask, attend_padded)
    cross = whole.cross_keys(pegasus, encoded, attention_mask)
    start = torch.full_like(input_ids[:, :1], pegasus.config.decoder_start_token_id)
    hidden, _ = whole.decode(pegasus, torch.cat([start, input_ids[:, :-1]], dim=1), cross)
    return hidden
