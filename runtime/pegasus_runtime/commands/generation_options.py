"""The generation options of commands: those of `GenerationOptions`, with dashes."""

import argparse

from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.spelling import did_you_mean

__all__ = ["add_generation_options", "read_options"]


def read_options(arguments: argparse.Namespace) -> GenerationOptions:
    """The generation options that were given. Raises: OptionsError."""
    names = GenerationOptions.__dataclass_fields__
    given = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    return GenerationOptions(**given)


def add_generation_options(parser: argparse.ArgumentParser, *, continues: bool = False) -> None:
    """Adds them in groups; continues: prompts, which take the place of a prefix."""
    group = parser.add_argument_group(
        "generation options",
        "Those left out take the checkpoint's defaults; names and meanings are\nHugging Face's.",
    )
    _add_length_options(group)
    _add_score_options(group)
    _add_sampling_options(parser.add_argument_group("with --do-sample, a token is drawn from"))
    tokens = parser.add_argument_group(
        "generation options on token ids",
        "IDS is a list such as 413,615, of ids as --json prints them.",
    )
    _add_token_options(tokens)
    if not continues:
        _add_prefix_options(tokens)


def _add_length_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--num-beams", type=int, metavar="N", help="beams, up to 32; 1 is greedy search")
    add("--max-length", type=int, metavar="N", help="most tokens, start token or prompt included")
    add("--max-new-tokens", type=int, metavar="N", help="most new tokens; beats --max-length")
    add("--min-length", type=int, metavar="N", help="fewest tokens, start token or prompt included")
    add("--min-new-tokens", type=int, metavar="N", help="fewest new tokens; beats --min-length")
    add("--length-penalty", type=float, metavar="X", help="above 0 favours longer texts")
    add(
        "--early-stopping",
        type=_early_stopping,
        metavar="{true,false,never}",
        help="stop at --num-beams finished texts (true), when a better one is unlikely "
        "(false), or when none is possible (never)",
    )


def _add_score_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--no-repeat-ngram-size", type=int, metavar="N", help="no N-gram twice; 0 is off")
    add(
        "--encoder-no-repeat-ngram-size",
        type=int,
        metavar="N",
        help="no N-gram copied from the document; 0 is off",
    )
    add(
        "--repetition-penalty",
        type=float,
        metavar="X",
        help="above 1 makes tokens that were used less likely; 1 is off",
    )
    add(
        "--encoder-repetition-penalty",
        type=float,
        metavar="X",
        help="above 1 makes tokens of the document more likely; 1 is off",
    )
    add(
        "--exponential-decay-length-penalty",
        type=_decay,
        metavar="N,X",
        help="after N new tokens, make the end more likely by X to the power of those since",
    )
    add(
        "--num-return-sequences",
        type=int,
        metavar="N",
        help="texts per document, best first, a line each: up to --num-beams, or samples",
    )
    add(
        "--do-sample",
        action=argparse.BooleanOptionalAction,
        help="draw tokens at random; with beams, continuations of all of them",
    )
    add(
        "--renormalize-logits",
        action=argparse.BooleanOptionalAction,
        help="make scores log-probabilities again after all other options",
    )
    add(
        "--remove-invalid-values",
        action=argparse.BooleanOptionalAction,
        help="let what is banned be very unlikely rather than impossible",
    )
    add(
        "--token-scores",
        action="store_const",
        const=True,
        help="with --json: the log-probability of each generated token",
    )


def _add_sampling_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--seed", type=int, metavar="N", help="the same seed, the same texts")
    add("--temperature", type=float, metavar="X", help="below 1 is less random")
    add("--top-k", type=int, metavar="N", help="the N likeliest tokens; 0 is all")
    add("--top-p", type=float, metavar="X", help="the likeliest tokens up to X together; 1 is all")
    add("--min-p", type=float, metavar="X", help="tokens at least X times as likely as the best")
    add("--top-h", type=float, metavar="X", help="the likeliest, up to X of their entropy")
    add("--typical-p", type=float, metavar="X", help="the most typical up to X together; 1 is all")
    add("--epsilon-cutoff", type=float, metavar="X", help="tokens of probability X or more")
    add("--eta-cutoff", type=float, metavar="X", help="the same, and fewer where few are likely")


def _add_token_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--bad-words-ids",
        type=_token_ids,
        action="append",
        metavar="IDS",
        help="a sequence that must not occur; may be given again for another",
    )
    add(
        "--sequence-bias",
        type=_bias,
        action="append",
        metavar="IDS=X",
        help="add X to the score of a sequence's end, as in 413,615=-2.5; may be given again",
    )
    add("--eos-token-id", type=_token_ids, metavar="IDS", help="each ends a text")
    add("--suppress-tokens", type=_token_ids, metavar="IDS", help="never generated")
    add("--begin-suppress-tokens", type=_token_ids, metavar="IDS", help="not generated first")
    add("--forced-bos-token-id", type=int, metavar="ID", help="generated first")
    add("--forced-eos-token-id", type=int, metavar="ID", help="generated at --max-length")


def _add_prefix_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_mutually_exclusive_group().add_argument
    add("--decoder-prefix", metavar="TEXT", help="what every summary begins with")
    add("--decoder-input-ids", type=_token_ids, metavar="IDS", help="the same, as token ids")


def _early_stopping(text: str) -> bool | str:
    choices: dict[str, bool | str] = {"true": True, "false": False, "never": "never"}
    if text not in choices:
        raise argparse.ArgumentTypeError(
            f"{text!r}, expected true, false or never{did_you_mean(text, choices)}"
        )
    return choices[text]


def _token_ids(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(token) for token in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}, expected token ids such as 413,615") from None


def _decay(text: str) -> tuple[int, float]:
    start, _, factor = text.partition(",")
    try:
        return int(start), float(factor)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}, expected N,X such as 20,1.1") from None


def _bias(text: str) -> tuple[tuple[int, ...], float]:
    ids, _, bias = text.partition("=")
    try:
        return _token_ids(ids), float(bias)
    except (ValueError, argparse.ArgumentTypeError):
        raise argparse.ArgumentTypeError(f"{text!r}, expected IDS=X such as 413,615=-2.5") from None
