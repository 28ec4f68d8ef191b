"""The table that graphs share as an input."""

from engines.precision.table_graphs import graph_with
from pegasus_engines.precision.passes.share_tables import share_tables

TABLE = "model.shared.weight"


def test_a_table_of_two_graphs_becomes_an_input_of_both() -> None:
    models = {
        "encoder": graph_with(TABLE, is_head=False),
        "decoder": graph_with(TABLE, is_head=True),
    }
    assert share_tables(models)
    for model in models.values():
        assert TABLE not in model.graph.initializers
        assert model.graph.inputs[-1].name == TABLE


def test_a_table_of_one_graph_stays_in_it() -> None:
    models = {"decoder": graph_with("lm_head.weight", is_head=True)}
    assert not share_tables(models)
    assert "lm_head.weight" in models["decoder"].graph.initializers
