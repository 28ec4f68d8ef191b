"""The tests that take seconds, those of the longest files first.

In this order the two processes of `make test` get their files, so that they end together; and
`make test-fast` leaves these tests out.
"""

from collections.abc import Sequence

import pytest

__all__ = ["SLOW", "mark_slow", "sort_longest_first"]

SLOW = (
    "tests/zoo/test_zoo.py",
    "tests/sharp/test_sharp.py",
    "tests/attack/test_attack.py",
    "tests/ray_cluster/test_cluster.py",
    "tests/exporter/stages/test_plans.py",
    "tests/exporter/graphs/test_bigbird.py",
    "tests/runtime/hub/test_by_name.py",
    "tests/e2e/test_local_exactness.py",
    "tests/e2e/test_pipelines.py",
    "tests/e2e/test_optimum.py",
    "tests/exporter/command/test_main.py::test_plans_are_built_of_graphs_from_the_command_line",
    "tests/exporter/command/test_main.py::test_an_interrupted_export_leaves_nothing",
    "tests/exporter/command/test_main.py::test_what_a_killed_export_leaves_is_no_bundle_and_goes",
    "tests/exporter/command/test_main.py::test_stages_go_to_stderr_and_tables_to_stdout",
    "tests/exporter/command/test_main.py::test_json_describes_the_bundle_and_nothing_else_is_",
    "tests/exporter/command/test_main.py::test_a_terminal_gets_bars",
    "tests/exporter/command/test_main.py::test_graphs_for_a_device_are_followed_by_the_command",
    "tests/exporter/command/test_main.py::test_a_missing_library_names_the_extra",
    "tests/exporter/stages/test_kernels.py",
    "tests/exporter/stages/test_plan_precision.py",
    "tests/e2e/test_parity.py",
    "tests/exporter/stages/test_overflow.py",
    "tests/exporter/stages/test_precision.py",
    "tests/exporter/graphs/test_trt.py",
    "tests/plugins/test_kernel.py",
    "tests/plugins/test_compile_kernels.py",
    "tests/e2e/test_encoder_exactness.py",
    "tests/benchmarks/test_benchmarks.py::test_latency_of_a_tiny_shape_goes_from_checkpoint_to_table",
    "tests/benchmarks/test_benchmarks.py::test_plans_of_a_tiny_shape_are_exported_built_and_deleted",
    "tests/benchmarks/test_benchmarks.py::test_fp32_graphs_have_transformers_tokens_on_the_cpu",
    "tests/exporter/graphs/test_shifted.py",
    "tests/packaging/test_docs.py::test_python_in_a_document_runs_as_it_stands",
    "tests/benchmarks/test_protocol.py::test_the_worker_of_transformers_gives_tokens",
    "tests/benchmarks/test_protocol.py::test_a_worker_of_an_encoder_generates_nothing",
    "tests/exporter/stages/test_defaults.py",
    "tests/exporter/tokenizer/test_randeng.py",
    "tests/packaging/test_traced_once.py",
    "tests/exporter/stages/test_build.py",
    "tests/exporter/passes/test_define_sparse_attention.py",
    "tests/e2e/test_lower_precision.py",
    "tests/plugins/test_library.py",
    "tests/gpu/test_gate.py::test_every_part_passes_against_the_stand_ins",
    "tests/gpu/test_gate.py::test_a_damaged_copy_fails",
    "tests/exporter/clients/test_transformers_js.py",
    "tests/exporter/clients/test_contract.py",
    "tests/examples/test_transformers_js.py",
    "tests/exporter/stages/test_export.py",
    "tests/exporter/checkpoint/test_weights.py::test_reading_maps_the_file_and_uses_no_memory",
    "tests/exporter/measure/test_residual.py::test_a_weight_that_fp16_cannot_hold_is_told_in_one",
    "tests/runtime/sessions/device/test_engine.py",
    "tests/runtime/sessions/device/test_workspaces.py",
    "tests/exporter/graphs/test_interfaces.py",
    "tests/runtime/commands/test_head_commands.py",
    "tests/runtime/records/test_run.py::test_sigkill_at_any_moment_changes_nothing",
    "tests/runtime/records/test_workers.py",
    "tests/runtime/commands/test_records.py::test_workers_write_what_one_process_writes_and_go_",
    "tests/exporter/verify/test_damage.py",
    "tests/exporter/graphs/test_sizes.py",
    "tests/examples/test_clients.py",
    "tests/examples/test_web.py",
    "tests/serve/test_page.py",
    "tests/examples/test_javascript.py",
    "tests/engines/inspect/test_lint.py",
    "tests/exporter/checkpoint/test_hub.py",
    "tests/exporter/graphs/test_transformers.py",
    "tests/benchmarks/test_block_sparse_benchmark.py",
    "tests/runtime/pipelines/test_heads.py",
    "tests/runtime/tasks/test_heads.py",
    "tests/serve/process/test_command.py",
    "tests/runtime/search/test_parity.py",
    "tests/packaging/test_light_install.py",
    "tests/packaging/test_wheel.py",
    "tests/packaging/test_imports.py::test_importing_the_runtime_takes_a_quarter_of_a_second_at_",
    "tests/runtime/batcher/test_stress.py",
    "tests/runtime/batcher/test_closing.py::test_an_interpreter_ends_with_a_batcher_that_is_open",
    "tests/exporter/command/test_triton.py::test_an_export_brings_the_model_along",
    "tests/exporter/triton/test_repository.py::test_bundles_that_cannot_be_served_are_refused",
    "tests/runtime/tasks/test_honest_input.py",
)
"""How the ids of slow tests begin."""

_FILES = tuple(dict.fromkeys(each.partition("::")[0] for each in SLOW))


def mark_slow(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")


def sort_longest_first(items: list[pytest.Item]) -> None:
    """The others follow, in the order that they had."""
    order = {file: position for position, file in enumerate(_FILES)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(order)))
