"""Which documents run together: all of them once, longest first, within the budget."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pegasus_runtime.bundle import Architecture
from pegasus_runtime.generation.batching import bytes_per_document, encoder_bytes, plan_batches

FACTS = Architecture(
    model_type="pegasus",
    architecture="PegasusForConditionalGeneration",
    vocab_size=1000,
    d_model=64,
    encoder_layers=2,
    decoder_layers=3,
    encoder_heads=4,
    decoder_heads=4,
    head_dim=16,
)
MOST_DOCUMENTS = 16
LENGTHS = st.lists(st.integers(1, 2000), max_size=60)
ROWS = st.integers(1, 32)
BUDGETS = st.integers(0, 50_000_000)


def cost(length: int, rows: int, max_length: int = 64) -> int:
    return bytes_per_document(FACTS, source_tokens=length, rows=rows, max_length=max_length)


def plan(lengths: list[int], rows: int, budget_bytes: int) -> list[list[int]]:
    by_document = dict(enumerate(lengths))
    return plan_batches(by_document, FACTS, rows=rows, max_length=64, budget_bytes=budget_bytes)


@given(LENGTHS, ROWS, BUDGETS)
def test_every_document_is_in_exactly_one_batch(lengths: list[int], rows: int, budget: int) -> None:
    batches = plan(lengths, rows, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(batches)


@given(LENGTHS, ROWS, BUDGETS)
def test_the_longest_document_comes_first_and_neighbours_run_together(
    lengths: list[int], rows: int, budget: int
) -> None:
    order = [index for batch in plan(lengths, rows, budget) for index in batch]
    assert order == sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))


@given(LENGTHS, ROWS, BUDGETS)
def test_a_padded_batch_is_within_the_budget_unless_it_is_one_document(
    lengths: list[int], rows: int, budget: int
) -> None:
    for batch in plan(lengths, rows, budget):
        longest = max(lengths[index] for index in batch)
        padded_bytes = len(batch) * cost(longest, rows)
        padded_bytes += encoder_bytes(FACTS, source_tokens=longest)
        assert padded_bytes <= budget or len(batch) == 1
        assert len(batch) <= MOST_DOCUMENTS


@given(LENGTHS, ROWS, BUDGETS)
def test_a_batch_is_closed_only_when_another_document_would_not_fit(
    lengths: list[int], rows: int, budget: int
) -> None:
    for batch in plan(lengths, rows, budget)[:-1]:
        longest = max(lengths[index] for index in batch)
        needed = (len(batch) + 1) * cost(longest, rows)
        over_budget = needed + encoder_bytes(FACTS, source_tokens=longest) > budget
        assert over_budget or len(batch) == MOST_DOCUMENTS


def test_documents_over_the_budget_go_alone() -> None:
    assert plan([10, 30, 20], rows=4, budget_bytes=1) == [[1], [2], [0]]


def test_no_more_run_together_than_asked_for() -> None:
    lengths = dict.fromkeys(range(20), 5)
    for batch_size, sizes in ((None, [16, 4]), (3, [3] * 6 + [2]), (99, [16, 4])):
        batches = plan_batches(lengths, FACTS, rows=1, max_length=8, batch_size=batch_size)
        assert [len(batch) for batch in batches] == sizes
    batches = plan_batches(lengths, FACTS, rows=1, max_length=8, max_documents=8, batch_size=12)
    assert [len(batch) for batch in batches] == [8, 8, 4]
    batches = plan_batches(lengths, FACTS, rows=1, max_length=8, max_documents=8, batch_size=7)
    assert [len(batch) for batch in batches] == [7, 7, 6]


def test_equal_lengths_keep_their_order() -> None:
    assert plan([5, 5, 9, 5], rows=1, budget_bytes=10**9) == [[2, 0, 1, 3]]


def test_no_documents_make_no_batches() -> None:
    assert plan([], rows=4, budget_bytes=10**9) == []


def test_documents_keep_their_names() -> None:
    batches = plan_batches({7: 10, 3: 30, 5: 20}, FACTS, rows=1, max_length=64)
    assert batches == [[3, 5, 7]]


def test_the_bytes_of_a_document_are_its_caches_and_copies_of_the_scores() -> None:
    keys_of_source = 3 * 10 * 4 * 16  # layers, tokens, heads, head dim
    keys_of_rows = 3 * 2 * 64 * 4 * 16  # layers, rows, tokens, heads, head dim
    scores = 3 * 2 * 1000
    assert cost(10, rows=2) == 4 * (2 * (keys_of_source + keys_of_rows) + scores)


def test_the_bytes_of_the_encoder_are_some_copies_of_what_a_layer_works_on() -> None:
    hidden_states = 8 * 10 * 64  # copies, tokens, model dim
    feed_forward = 2 * 10 * 4 * 64
    attention_scores = 2 * 4 * 10 * 10  # copies, heads, tokens, tokens
    expected = 4 * (hidden_states + feed_forward + attention_scores)
    assert encoder_bytes(FACTS, source_tokens=10) == expected


def test_eight_documents_of_the_published_size_run_together() -> None:
    heads = {"encoder_heads": 16, "decoder_heads": 16, "head_dim": 64}
    xsum = replace(FACTS, vocab_size=96103, d_model=1024, decoder_layers=16, **heads)
    batches = plan_batches(dict.fromkeys(range(9), 512), xsum, rows=8, max_length=64)
    assert [len(batch) for batch in batches] == [8, 1]


def test_a_block_sparse_encoder_works_in_what_grows_with_the_source() -> None:
    sparse = replace(
        FACTS,
        attention_type="block_sparse",
        block_size=64,
        num_random_blocks=3,
        random_blocks="hf-eval",
    )
    assert encoder_bytes(sparse, source_tokens=300) == encoder_bytes(FACTS, source_tokens=300)
    once, twice = (encoder_bytes(sparse, source_tokens=tokens) for tokens in (4096, 8192))
    assert twice == 2 * once
    seeded = replace(sparse, random_blocks="seeded")
    assert (
        once < encoder_bytes(seeded, source_tokens=4096) < encoder_bytes(FACTS, source_tokens=4096)
    )


def test_a_block_local_encoder_works_in_what_grows_with_the_source() -> None:
    local = replace(FACTS, attention_type="block_local", block_size=512, num_global_tokens=128)
    once, twice = (encoder_bytes(local, source_tokens=tokens) for tokens in (8192, 16384))
    assert once < twice < 2 * once  # global tokens are there once
    assert once < encoder_bytes(FACTS, source_tokens=8192)


def test_the_bytes_of_a_block_local_encoder_are_near_what_was_measured() -> None:
    """google/pegasus-x-base's at 4,096 and 16,384 tokens: docs/figures/local_documents.json."""
    base = replace(FACTS, d_model=768, encoder_heads=12)
    base = replace(base, attention_type="block_local", block_size=512, num_global_tokens=128)
    sizes = [encoder_bytes(base, source_tokens=tokens) for tokens in (4096, 16384)]
    measured = (2853 - 881) * 2**20  # cross-attention keys of one layer among it
    assert 0.9 * measured < sizes[1] - sizes[0] < 1.2 * measured
