"""Faults and bad input, and the tests that hold what edgenas does then: a map, so that no row is lost with a test."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FAULTS = {
    "any failure: one named error, one line, its exit code": (
        "tests/test_errors.py::test_each_stands_below_its_base_with_its_exit_code",
        "tests/test_errors.py::test_alike_faults_of_files_have_alike_exit_codes",
        "tests/cli/test_main.py::test_each_failure_has_its_exit_code_and_one_line",
        "tests/cli/test_main.py::test_verbose_adds_the_traceback",
    ),
    "SIGKILL: of a strategy": (
        "tests/contracts/test_strategies.py::test_keeps_the_contract",
        "tests/exploration/test_driver.py::test_killed_by_the_kernel_at_any_moment_and_resumed_equals_uninterrupted",
        "tests/exploration/test_driver.py::test_killed_and_resumed_equals_uninterrupted",
        "tests/exploration/test_pruning.py::test_killed_and_resumed_equals_uninterrupted",
        "tests/training/test_train.py::test_stopped_and_resumed_equals_uninterrupted",
        "tests/strategies/gradient/test_bilevel_training.py::test_stopped_and_loaded_it_goes_on_as_if_it_had_not",
        "tests/workflows/test_search_pretrained.py::test_stopped_at_any_stage_it_ends_as_it_would_have",
    ),
    "SIGKILL: while a file is written": (
        "tests/system/test_checkpoint.py::test_killed_while_writing_leaves_an_intact_generation",
        "tests/system/test_file_index.py::test_killed_while_a_file_is_written_it_is_the_old_or_the_new_one",
        "tests/data/storage/test_disk.py::test_a_file_is_written_whole_or_not_at_all",
    ),
    "SIGINT and SIGTERM": (
        "tests/cli/test_signals.py::test_a_signal_stops_a_search_and_says_how_to_go_on",
        "tests/cli/test_signals.py::test_without_patience_the_first_signal_interrupts",
        "tests/workflows/test_context.py::test_a_run_that_is_to_stop_begins_no_stage",
        "tests/exploration/test_driver.py::test_stop_is_asked_between_batches_and_leaves_a_checkpoint",
        "tests/strategies/one_shot/test_parts.py::test_stopped_within_a_part_goes_on_there",
        "tests/exploration/test_workers.py::"
        "test_sigterm_stays_with_whoever_had_it_and_is_handed_on_if_it_comes_while_ray_starts",
    ),
    "a worker that is killed, hangs, or has no memory left": (
        "tests/exploration/test_workers.py::test_what_is_killed_in_the_middle_is_tried_again_and_nothing_is_lost",
        "tests/exploration/test_workers.py::test_what_always_dies_is_a_failed_trial_with_its_cause",
        "tests/exploration/test_workers.py::test_what_hangs_is_ended",
        "tests/exploration/test_workers.py::test_a_worker_that_runs_out_of_memory_is_a_failed_trial_with_its_cause",
        "tests/exploration/test_driver.py::test_a_failed_trial_is_recorded_with_its_cause",
        "tests/exploration/test_driver.py::test_failures_in_a_row_stop_the_run_with_the_cause",
    ),
    "a GPU without enough memory": (
        "tests/training/test_memory.py::test_batches_are_halved_until_they_fit",
        "tests/training/test_memory.py::test_a_gpu_that_runs_out_of_memory_computes_half_of_each_batch_at_once",
        "tests/training/test_memory.py::test_the_ceiling_alone_refuses_nothing",
        "tests/training/test_memory.py::test_gradients_of_micro_batches_are_those_of_the_batch",
        "tests/training/test_memory.py::test_a_refusal_comes_before_anything_is_trained",
        "tests/exploration/test_problem.py::test_what_does_not_fit_in_memory_is_infeasible_and_ends_nothing",
        "tests/exploration/test_study.py::test_add_judges",
    ),
    "a disk that is full or read-only, a file in the way, a path that is too long": (
        "tests/system/test_run_folder.py::test_a_disk_that_cannot_be_written_is_found_before_anything_is_begun",
        "tests/system/test_run_folder.py::test_a_refusal_leaves_no_folder_locked",
        "tests/system/test_run_folder.py::test_a_file_in_the_way",
        "tests/system/test_file_index.py::test_a_device_or_a_pipe_stays_what_it_is",
        "tests/latency/test_table.py::test_a_table_takes_the_place_of_a_file_only",
        "tests/cli/test_main.py::test_a_path_that_is_too_long_is_one_line_and_exit_code_4",
        "tests/system/test_checkpoint.py::test_a_disk_that_is_full_leaves_the_last_checkpoint_intact",
        "tests/system/test_checkpoint.py::test_an_unwritable_place_is_an_environment_fault",
        "tests/data/storage/test_pictures.py::test_a_full_disk_is_refused_before_anything_is_decoded",
        "tests/exporters/test_bundle.py::test_a_crash_leaves_no_manifest_and_no_half_file",
        "tests/workflows/test_run_start.py::test_only_what_can_be_gone_on_with_stays",
    ),
    "two runs in one folder, and a lock whose process is gone": (
        "tests/system/test_folder_lock.py::test_of_processes_that_start_at_once_one_has_the_folder",
        "tests/system/test_folder_lock.py::test_what_a_killed_process_held_is_taken_over_by_one",
        "tests/system/test_folder_lock.py::test_who_holds_a_folder_is_named_and_who_held_it_noticed",
        "tests/system/test_folder_lock.py::test_a_process_is_known_by_when_it_began",
    ),
    "a run that was moved": (
        "tests/workflows/test_search_device.py::test_a_run_that_was_moved_is_gone_on_with_where_it_is",
        "tests/system/test_run_folder.py::test_artefacts_are_made_once_and_survive_a_move",
        "tests/exploration/test_study.py::test_the_folder_may_move",
    ),
    "a checkpoint that is cut, altered or hostile": (
        "tests/system/test_checkpoint.py::test_a_damaged_checkpoint_gives_the_older_generation_with_a_warning",
        "tests/system/test_checkpoint.py::test_two_damaged_generations_are_refused",
        "tests/system/test_checkpoint.py::test_checkpoints_that_changed_places_are_named",
        "tests/system/test_checkpoint.py::test_weights_that_are_not_of_a_network_are_damage",
        "tests/system/test_checkpoint.py::test_a_pickle_is_never_executed",
        "tests/system/test_checkpoint.py::test_nothing_in_the_package_loads_more_than_weights",
        "tests/pretrained/test_own.py::test_a_file_that_holds_code_runs_none_of_it",
        "tests/data/storage/test_cifar.py::test_foreign_objects_are_refused_before_they_act",
    ),
    "a checkpoint of another space, version or seed": (
        "tests/system/test_checkpoint.py::test_identity_names_the_difference",
        "tests/workflows/test_run_start.py::test_a_resumed_run_needs_the_same_settings",
        "tests/workflows/test_run_start.py::test_a_run_of_another_space_strategy_or_data_set_is_not_gone_on_with",
        "tests/workflows/test_trained_run.py::test_weights_of_another_version_or_of_another_run",
        "tests/system/test_run_folder.py::test_the_format_of_a_folder_is_checked",
        "tests/training/test_train.py::test_a_checkpoint_of_another_run_is_refused",
    ),
    "the last trial half written": ("tests/exploration/test_study.py::test_a_torn_last_line_is_dropped_and_reported",),
    "losses, scores and rewards that are no number": (
        "tests/training/test_train.py::test_one_bad_batch_is_skipped_and_many_stop",
        "tests/training/test_train.py::test_a_skipped_step_leaves_everything_as_it_was",
        "tests/strategies/one_shot/test_parts.py::test_a_loss_that_is_no_number_ends_the_training",
        "tests/exploration/test_study.py::test_what_is_not_a_number_fails_the_trial_and_stays_out_of_the_file",
        "tests/exploration/test_objective.py::test_reward_is_always_finite",
    ),
    "nothing feasible, and ties": (
        "tests/contracts/test_strategies.py::test_keeps_the_contract",
        "tests/exploration/test_feasible.py::test_random_feasible_gives_up_below_the_smallest",
        "tests/strategies/controllers/test_policy_gradient.py::test_leave_one_out_advantage",
        "tests/strategies/controllers/test_policy_gradient.py::test_the_budget_is_found_without_evaluations",
        "tests/exploration/test_study.py::test_best_is_feasible_and_of_equals_the_cheaper",
    ),
    "collapse into skip connections": (
        "tests/strategies/gradient/test_collapse.py::test_a_full_cell_loses_its_least_likely_skips_and_no_others",
        "tests/strategies/gradient/test_collapse.py::test_a_guarded_search_draws_no_full_cells",
        "tests/strategies/gradient/test_collapse.py::test_a_collapsed_network_is_told_of",
        "tests/strategies/gradient/test_collapse.py::test_one_op_everywhere_is_told_of",
        "tests/strategies/gradient/test_collapse.py::test_the_largest_eigenvalue_is_found_and_its_rise_is_noticed",
        "tests/strategies/gradient/test_notes.py::test_a_person_is_told_how_sure_the_alphas_became",
    ),
    "a budget that is no number, or out of range": (
        "tests/workflows/test_config.py::test_a_bad_budget_is_refused_naming_flag_and_range",
        "tests/workflows/test_config.py::test_a_bad_budget_in_a_file_names_the_file_too",
        "tests/cli/test_flags.py::test_a_bad_budget_names_flag_and_range",
        "tests/cli/test_flags.py::test_the_same_from_python",
        "tests/workflows/test_values.py::test_what_is_no_budget_is_refused",
    ),
    "a budget below the fastest network": (
        "tests/workflows/test_search_device.py::test_a_budget_that_nothing_is_sure_to_meet_is_refused",
        "tests/workflows/test_search_device.py::test_limits_out_of_reach_are_refused_by_name",
        "tests/workflows/test_search_device.py::test_a_refused_search_leaves_the_folder_free",
        "tests/workflows/stages/test_bounds.py::test_elsewhere_the_high_end_decides_at_both_ends",
        "tests/workflows/stages/test_busy.py::test_a_budget_that_is_far_out_of_reach_is_refused_by_any",
    ),
    "a budget above the slowest network": (
        "tests/workflows/stages/test_notes.py::"
        "test_whether_the_budget_binds_is_decided_by_the_high_end_and_the_interval_is_shown",
    ),
    "a latency table with faulty rows or without its unit": (
        "tests/latency/test_table.py::test_faulty_rows_are_refused_with_line_and_key",
        "tests/latency/test_table.py::test_a_row_stands_once",
        "tests/latency/test_table.py::test_faulty_files_are_refused",
        "tests/latency/test_table.py::test_unreadable_files_are_refused",
        "tests/latency/test_table.py::test_largest_plausible_time_is_a_minute",
    ),
    "a latency table that lacks rows": (
        "tests/latency/test_predictor.py::test_a_missing_row_is_named_with_the_command_that_measures_it",
        "tests/latency/test_predictor.py::test_an_empty_table_prices_nothing",
        "tests/workflows/test_predict.py::test_a_table_that_lacks_ops_is_not_guessed_from_unless_allowed",
        "tests/latency/test_forecast.py::test_a_single_small_kernel_is_never_free",
    ),
    "a latency table of another device, runtime or number of threads": (
        "tests/workflows/stages/test_profile.py::test_a_table_of_another_device_or_of_other_conditions_is_refused",
        "tests/latency/test_table.py::test_a_table_of_other_conditions_is_refused",
        "tests/latency/test_registry.py::test_what_there_is_instead_is_named",
        "tests/workflows/test_search_device.py::test_another_device_s_profile_is_not_reused",
        "tests/workflows/test_search_device.py::test_times_of_other_conditions_are_refused",
    ),
    "a finalist that measures slower than was predicted": (
        "tests/workflows/stages/test_choice.py::test_a_busy_machine_never_ends_a_run_without_a_model",
        "tests/workflows/stages/test_choice.py::test_misses_that_are_sure_end_it",
        "tests/workflows/stages/test_deliver.py::test_the_error_names_by_how_much_all_missed",
        "tests/workflows/test_search.py::test_when_every_finalist_misses_the_next_ones_are_tried",
        "tests/workflows/test_search_device.py::test_what_the_device_measured_decides",
        "tests/cli/test_summary.py::test_the_verdict",
    ),
    "noise and throttling: samples": (
        "tests/runtimes/test_rounds.py::test_interrupted_samples_do_not_move_the_median",
        "tests/runtimes/test_timing.py::test_a_fifth_of_the_samples_must_be_clean",
        "tests/runtimes/test_timing.py::test_rounds_with_a_slow_reference_are_taken_again",
        "tests/runtimes/test_timing.py::test_a_noisy_machine_is_waited_for_then_given_up",
    ),
    "noise: a profile and a benchmark": (
        "tests/workflows/test_profile.py::test_on_a_machine_that_is_too_busy_nothing_is_written",
        "tests/workflows/test_bench.py::test_on_a_machine_that_stays_busy_nothing_is_written",
        "tests/runtimes/test_bench.py::test_a_noisy_machine_is_named",
        "tests/cli/test_bench.py::test_a_machine_too_busy_for_a_bundle_is_an_exit_code",
        "tests/devices/test_ingest.py::test_noisy_results_make_no_table",
    ),
    "noise: a search": (
        "tests/runtimes/test_waiting.py::test_a_turn_says_why_and_for_how_long",
        "tests/runtimes/test_gaps.py::test_after_the_time_disturbed_samples_count_with_their_spread",
        "tests/workflows/stages/test_busy.py::test_a_profile_beside_other_programs_is_wider_and_not_cached",
        "tests/workflows/stages/test_verdict.py::test_a_busy_machine_leaves_the_budget_open",
        "tests/workflows/stages/test_choice.py::test_a_busy_machine_never_ends_a_run_without_a_model",
        "tests/workflows/test_busy_search.py::test_a_search_beside_other_programs_delivers_and_is_settled_later",
        "tests/cli/test_search.py::test_the_exit_code_says_whether_the_budget_is_met",
    ),
    "a clock that is coarse or set back": (
        "tests/runtimes/test_rounds.py::test_runs_are_batched_to_a_hundred_ticks_of_the_clock",
        "tests/test_structure.py::test_time_is_measured_by_clocks_that_nobody_sets_back",
    ),
    "more threads and workers than cores, and a container's quota": (
        "tests/runtimes/test_onnxruntime.py::test_threads_beyond_the_usable_cores_are_capped_and_recorded",
        "tests/runtimes/test_host.py::test_a_containers_quota_limits_the_cores",
        "tests/exploration/test_workers.py::test_one_worker_needs_no_ray",
        "tests/workflows/stages/test_notes.py::test_workers_that_were_capped_are_told_of",
    ),
    "images of every size and mode": (
        "tests/data/storage/test_decode.py::test_every_kind_becomes_rgb",
        "tests/data/storage/test_decode.py::test_exif_rotation_is_applied",
        "tests/data/storage/test_decode.py::test_a_large_photograph_is_reduced_while_it_is_read",
        "tests/data/storage/test_decode.py::test_a_square_of_any_aspect",
        "tests/data/storage/test_decode.py::test_what_is_white_becomes_255",
        "tests/data/storage/test_pictures.py::test_pictures_of_12_bits_are_not_dark",
        "tests/deploy/test_classify.py::test_files_of_every_mode_decode_as_in_training",
    ),
    "files that are no images": (
        "tests/data/storage/test_decode.py::test_what_is_no_image_says_why",
        "tests/data/storage/test_files.py::test_one_per_cent_is_borne_unless_strict",
        "tests/data/test_folder.py::test_few_broken_files_are_skipped_and_named",
        "tests/data/test_npz.py::test_many_broken_blobs_stop",
    ),
    "classes that are alone, empty, rare, or in one split only": (
        "tests/data/test_folder.py::test_faults",
        "tests/data/storage/test_splits.py::test_a_class_missing_from_a_split_is_named",
        "tests/data/test_base.py::test_imbalance_of_one_to_a_thousand_is_split",
        "tests/data/test_base.py::test_a_class_smaller_than_the_splits_is_named",
        "tests/cli/test_summary.py::test_the_worst_class_is_shown",
    ),
    "labels out of range, and one image in two splits": (
        "tests/data/storage/test_splits.py::test_unusable_labels_are_refused_with_the_reason",
        "tests/data/test_npz.py::test_unusable_contents",
        "tests/data/storage/test_copies.py::test_one_image_in_two_places_is_refused",
        "tests/data/storage/test_copies.py::test_a_file_of_arrays_keeps_each_image_once",
    ),
    "archives: paths that lead out, and bombs": (
        "tests/devices/test_ssh_remote.py::test_no_name_in_an_archive_leads_out_of_its_folder",
        "tests/devices/test_ssh_remote.py::test_a_kit_is_unpacked_once_and_a_torn_one_never",
        "tests/exporters/test_bundle.py::test_verify_stays_inside_the_bundle",
        "tests/devices/test_kit.py::test_a_manifest_that_unpacks_to_more_than_any_has_is_refused",
        "tests/data/test_npz.py::test_an_array_that_promises_more_than_anybody_has_room_for_is_refused",
        "tests/data/storage/test_decode.py::test_what_is_no_image_says_why",
    ),
    "ONNX that is damaged, foreign, or keeps data elsewhere": (
        "tests/runtimes/test_bench.py::test_unreadable_files_are_refused_without_a_runtime",
        "tests/runtimes/test_bench.py::test_the_child_names_the_file_it_refuses",
        "tests/runtimes/test_bench.py::test_a_child_that_dies_is_reported_in_one_line",
        "tests/runtimes/test_onnxruntime.py::test_models_it_cannot_load_are_refused_in_one_line",
        "tests/latency/test_onnx_file.py::test_a_bad_file_is_refused_in_one_line",
    ),
    "a delivered model that was altered": (
        "tests/exporters/test_bundle.py::test_verify_finds_a_flipped_bit_in_any_file",
        "tests/exporters/test_bundle.py::test_golden_outputs_find_another_model_even_with_its_hash",
        "tests/exporters/test_remeasured.py::test_what_is_no_whole_bundle_is_refused",
        "tests/deploy/test_classify.py::test_a_model_that_computes_otherwise_is_named",
    ),
    "an exported file that differs, or tells of this machine": (
        "tests/exporters/test_parity.py::test_the_parity_check_refuses_a_difference",
        "tests/exporters/test_parity.py::test_the_parity_check_refuses_another_class",
        "tests/exporters/test_parity.py::test_the_parity_check_refuses_another_format",
        "tests/exporters/test_parity.py::test_private_words_do_not_pass",
        "tests/workflows/stages/test_files.py::test_a_file_that_differs_is_kept_as_rejected",
        "tests/cli/test_main.py::test_each_failure_has_its_exit_code_and_one_line",
    ),
    "int8 that collapses or loses accuracy": (
        "tests/exporters/test_quantize.py::test_collapse",
        "tests/workflows/stages/test_files.py::test_where_int8_collapses_the_float_file_stands_alone_with_the_reason",
        "tests/workflows/stages/test_verdict.py::test_int8_that_loses_too_much_accuracy_is_not_delivered",
    ),
    "no network, no telemetry": (
        "tests/workflows/test_search_device.py::test_a_search_on_local_data_opens_no_socket",
        "tests/contracts/test_data.py::test_building_opens_no_socket",
        "tests/runtimes/test_onnxruntime.py::test_telemetry_is_off_before_the_first_import",
    ),
    "no home, odd paths": (
        "tests/cli/test_list.py::test_without_a_usable_home_devices_are_listed_all_the_same",
        "tests/system/test_run_folder.py::test_the_cache_is_the_users_or_else_a_temporary_one",
        "tests/data/storage/test_options.py::test_without_a_home_there_is_a_folder_for_temporary_files",
        "tests/system/test_run_folder.py::test_a_path_may_hold_blanks_letters_of_any_script_and_line_breaks",
        "tests/exporters/test_bundle.py::test_bundle_is_whole_and_verifies",
        "tests/cli/test_summary.py::test_names_cannot_break_lines",
    ),
    "plain terminals, closed pipes": (
        "tests/system/test_progress.py::test_the_reporter_suits_the_stream",
        "tests/system/test_progress.py::test_a_closed_pipe_leaves_the_exit_code_alone",
        "tests/cli/test_output.py::test_a_terminal_that_knows_only_ascii",
        "tests/cli/test_output.py::test_a_closed_pipe_is_quiet",
        "tests/cli/test_output.py::test_closed_streams_are_no_fault",
    ),
    "one seed twice, one worker or two": (
        "tests/contracts/test_strategies.py::test_keeps_the_contract",
        "tests/training/test_train.py::test_same_seed_same_weights",
        "tests/exploration/test_workers.py::test_the_history_is_the_same_for_one_worker_and_for_two",
        "tests/evaluators/test_scratch.py::test_another_process_with_other_threads_scores_the_same",
    ),
    "a kit's device: reboot, other versions, no permission, two devices in one file": (
        "tests/devices/test_runner.py::test_killed_half_way_it_goes_on_and_measures_nothing_twice",
        "tests/devices/test_runner.py::test_results_under_another_version_of_the_runtime_are_not_added_to",
        "tests/devices/test_runner.py::test_a_place_that_cannot_be_written_is_named_before_anything_is_measured",
        "tests/devices/test_runner.py::test_results_of_another_device_are_not_added_to",
        "tests/devices/test_ingest.py::test_results_that_cannot_be_trusted_are_refused",
    ),
    "names that are markup": (
        "tests/exporters/test_model_card.py::test_it_has_the_figures_with_their_errors_and_escapes_names",
        "tests/cli/test_inspect.py::test_a_class_named_as_a_tag_is_text_in_the_page",
        "tests/devices/page/test_page.py::test_the_page_is_one_file_that_asks_nobody",
    ),
}


@cache
def functions_of(file: str) -> frozenset[str]:
    """The functions of a test file, which is read and not imported; none where there is no such file."""
    path = ROOT / file
    body = ast.parse(path.read_text("utf-8")).body if path.is_file() else []
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_tests_and_these_exist(fault):
    assert FAULTS[fault], "no test holds it"
    named = [test.partition("::") for test in FAULTS[fault]]
    assert [
        "".join(test) for test in named if not test[2].startswith("test_") or test[2] not in functions_of(test[0])
    ] == []
