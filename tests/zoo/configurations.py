"""What config.json can say, or leave out."""

from pathlib import Path

from zoo.trait import BIGBIRD, PEGASUS_X, Trait, in_config, in_generation

__all__ = ["CONFIGURATIONS"]

_ACTIVATIONS = (
    "gelu",
    "gelu_10",
    "gelu_accurate",
    "gelu_fast",
    "gelu_new",
    "gelu_python",
    "gelu_python_tanh",
    "gelu_pytorch_tanh",
    "laplace",
    "leaky_relu",
    "linear",
    "mish",
    "quick_gelu",
    "relu2",
    "relu6",
    "sigmoid",
    "silu",
    "swish",
    "tanh",
)


_PEGASUS_X: dict[str, dict[str, object]] = {
    "one global token, blocks of an odd size that are not staggered": {
        "block_size": 5,
        "num_global_tokens": 1,
        "stagger_local_blocks": False,
    },
    "a head of its own, sizes that differ, few positions": {
        "tie_word_embeddings": False,
        "activation_function": "gelu_new",
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 1,
        "encoder_ffn_dim": 20,
        "scale_embedding": False,
        "max_position_embeddings": 24,
    },
}


def _settings_in_config_alone(folder: Path) -> None:
    """As the hub's older files have it: google/pegasus-cnn_dailymail's, sizes aside."""
    (folder / "generation_config.json").unlink()
    in_config(
        drop=("decoder_start_token_id", "dtype", "transformers_version", "tie_word_embeddings"),
        bos_token_id=0,
        length_penalty=0.8,
        max_length=48,
        min_length=12,
        num_beams=8,
        num_hidden_layers=2,
        add_bias_logits=False,
        add_final_layer_norm=True,
        classif_dropout=0.0,
        extra_pos_embeddings=1,
        force_bos_token_to_be_generated=False,
        forced_eos_token_id=1,
        gradient_checkpointing=False,
        id2label={"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"},
        label2id={"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2},
        normalize_before=True,
        normalize_embedding=False,
        static_position_embeddings=True,
    )(folder)


def _written_by_4(folder: Path) -> None:
    in_config(drop=("dtype",), torch_dtype="float32", transformers_version="4.27.1")(folder)


def _token_ids_in_config_alone(folder: Path) -> None:
    (folder / "generation_config.json").unlink()
    in_config(forced_eos_token_id=1, num_beams=3, max_length=20)(folder)


def _only_defaults(folder: Path) -> None:
    """Nothing about generation at all: greedy search over 20 tokens, says transformers."""
    (folder / "generation_config.json").unlink()


CONFIGURATIONS: tuple[Trait, ...] = (
    Trait(name="as transformers writes it"),
    Trait(name="settings in config.json alone", change=_settings_in_config_alone),
    Trait(name="token ids in config.json alone", change=_token_ids_in_config_alone),
    Trait(name="no settings at all", change=_only_defaults),
    Trait(name="written by transformers 4", change=_written_by_4),
    Trait(
        name="no decoder start anywhere",
        change=lambda folder: (
            in_config(drop=("decoder_start_token_id",), bos_token_id=0)(folder),
            in_generation(drop=("decoder_start_token_id",))(folder),
        ),
    ),
    *(
        Trait(name=f"activation {name}", config={"activation_function": name})
        for name in _ACTIVATIONS
    ),
    Trait(
        name="activation xielu",
        change=in_config(activation_function="xielu"),
        refused="activation_function.*xielu",
    ),
    Trait(name="d_model called hidden_size", change=lambda folder: _rename(folder)),
    Trait(name="no architectures", change=in_config(drop=("architectures",))),
    Trait(name="a subclass's name", change=in_config(architectures=["MyPegasusForNews"])),
    Trait(
        name="architectures in no list",
        change=in_config(architectures="PegasusForConditionalGeneration"),
    ),
    Trait(name="no is_encoder_decoder", change=in_config(drop=("is_encoder_decoder",))),
    Trait(name="keys of somebody else", change=in_config(my_trainer={"lr": 1e-5}, prefix="")),
    Trait(name="use_cache off", change=in_config(use_cache=False)),
    Trait(name="dropout and layerdrop", config={"dropout": 0.5, "encoder_layerdrop": 0.5}),
    Trait(name="unscaled embeddings", config={"scale_embedding": False}),
    Trait(name="scale_embedding left out", change=in_config(drop=("scale_embedding",))),
    Trait(name="a head of its own", config={"tie_word_embeddings": False}),
    Trait(name="a padded vocabulary", config={"vocab_size": 320}),
    Trait(name="one layer, three layers", config={"encoder_layers": 1, "decoder_layers": 3}),
    Trait(
        name="heads that differ",
        config={"encoder_attention_heads": 4, "decoder_attention_heads": 1},
    ),
    Trait(name="widths that differ", config={"encoder_ffn_dim": 20, "decoder_ffn_dim": 70}),
    Trait(name="pad is eos", config={"pad_token_id": 1}, generation={"pad_token_id": 1}),
    Trait(name="pad is an ordinary token", generation={"pad_token_id": 120}),
    Trait(name="pad in config.json and another in the settings", generation={"pad_token_id": 3}),
    Trait(
        name="no pad",
        change=lambda folder: (
            in_config(pad_token_id=None)(folder),
            in_generation(drop=("pad_token_id",))(folder),
        ),
    ),
    Trait(name="two eos tokens", generation={"eos_token_id": [1, 110]}),
    Trait(name="eos as a list of one", generation={"eos_token_id": [1]}),
    Trait(name="another decoder start", generation={"decoder_start_token_id": 117}),
    Trait(name="start is eos", generation={"decoder_start_token_id": 1}),
    *(
        Trait(name=f"{name} {value} of config.json alone", change=in_config(**{name: value}))
        for name, value in (
            ("decoder_start_token_id", -1),
            ("decoder_start_token_id", 99999),
            ("eos_token_id", 99999),
            ("eos_token_id", []),
        )
    ),
    Trait(
        name="decoder_start_token_id -1, and used",
        change=lambda folder: (
            in_config(decoder_start_token_id=-1)(folder),
            in_generation(drop=("decoder_start_token_id", "bos_token_id"))(folder),
        ),
        refused="decoder_start_token_id is -1",
    ),
    Trait(name="few positions", config={"max_position_embeddings": 24}),
    Trait(name="BigBird", architecture=BIGBIRD, own_tokenizer=False),
    Trait(
        name="BigBird in full",
        architecture=BIGBIRD,
        own_tokenizer=False,
        config={"attention_type": "original_full"},
    ),
    Trait(
        name="BigBird with biases",
        architecture=BIGBIRD,
        own_tokenizer=False,
        config={"use_bias": True},
    ),
    Trait(
        name="BigBird, blocks of 2 and one at random",
        architecture=BIGBIRD,
        own_tokenizer=False,
        config={"block_size": 2, "num_random_blocks": 1},
    ),
    Trait(
        name="BigBird, pad is eos",
        architecture=BIGBIRD,
        own_tokenizer=False,
        config={"pad_token_id": 1},
        generation={"pad_token_id": 1},
    ),
    Trait(
        name="BigBird, no forced eos",
        architecture=BIGBIRD,
        own_tokenizer=False,
        change=in_generation(drop=("forced_eos_token_id",), num_beams=5, length_penalty=0.8),
    ),
    Trait(
        name="BigBird, config.json of class defaults",
        architecture=BIGBIRD,
        own_tokenizer=False,
        config={"scale_embedding": True, "activation_function": "gelu_new"},
        change=in_config(
            drop=("scale_embedding", "activation_function", "use_bias", "decoder_start_token_id")
        ),
    ),
    *(
        Trait(
            name=f"PEGASUS-X, {name}",
            architecture=PEGASUS_X,
            own_tokenizer=False,
            config={"encoder_layers": 2, "decoder_layers": 1, **config},
        )
        for name, config in _PEGASUS_X.items()
    ),
    Trait(
        name="PEGASUS-X, config.json of class defaults",
        architecture=PEGASUS_X,
        own_tokenizer=False,
        config={
            "block_size": 512,
            "num_global_tokens": 32,
            "activation_function": "gelu",
            "decoder_layers": 1,
        },
        change=in_config(
            drop=(
                *("block_size", "num_global_tokens", "stagger_local_blocks", "scale_embedding"),
                *("activation_function", "decoder_start_token_id"),
            )
        ),
    ),
    Trait(
        name="PEGASUS-X, staggered by half of an odd block",
        architecture=PEGASUS_X,
        change=in_config(block_size=7),
        refused="block_size is 7",
    ),
    Trait(
        name="PEGASUS-X, no global tokens",
        architecture=PEGASUS_X,
        change=in_config(num_global_tokens=0),
        refused="num_global_tokens is 0",
    ),
    Trait(name="a BART", change=in_config(model_type="bart"), refused="bart"),
    Trait(name="model_type of a PEGASUS-X", change=in_config(model_type="pegasus_x"), refused="X"),
    Trait(name="a width that heads do not divide", change=in_config(d_model=33), refused="d_model"),
)


def _rename(folder: Path) -> None:
    in_config(drop=("d_model",), hidden_size=32)(folder)
