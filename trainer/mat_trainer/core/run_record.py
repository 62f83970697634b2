"""``run.json`` in an output folder: what the run is, so that no other run is mixed with it. Pure.

A checkpoint brings its own learning rate, batch size and optimizer. If a run resumes with other
settings, transformers ignores some of them without a word and fails for others after the model is
loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from mat_trainer.core.known_keys import KnownKeys

NAME = "run.json"

LATER = ("max_steps", "num_train_epochs")
"""Settings that may change: they say when training ends."""

# Settings of the launcher, or of what happens beside training. They may change at any time.
_FREE = frozenset(
    """
    output_dir dataset_dir media_dir overwrite_output_dir resume_from_checkpoint dataset
    cache_dir data_shared_file_system dataloader_num_workers dataloader_persistent_workers
    dataloader_pin_memory dataloader_prefetch_factor ddp_bucket_cap_mb
    ddp_timeout debug disable_tqdm early_stopping_steps enable_torch_profiler
    eval_accumulation_steps eval_dataset eval_delay eval_num_beams eval_on_start eval_steps
    eval_strategy greater_is_better hub_always_push hub_model_id hub_private_repo hub_revision
    hub_strategy include_effective_tokens_per_second include_for_metrics
    include_inputs_for_metrics include_num_input_tokens_seen include_tokens_per_second
    load_best_model_at_end log_level log_level_replica log_on_each_node logging_dir
    logging_first_step logging_nan_inf_filter logging_steps logging_strategy low_cpu_mem_usage
    metric_for_best_model overwrite_cache per_device_eval_batch_size plot_loss
    prediction_loss_only preprocessing_num_workers print_param_status profile_modules
    profiler_active_steps profiler_output_dir profiler_profile_memory profiler_record_shapes
    profiler_repeat profiler_wait_steps profiler_warmup_steps profiler_with_stack project
    push_to_hub ray_init_kwargs report_to run_name save_on_each_node save_only_model save_steps
    save_strategy save_total_limit skip_memory_metrics swanlab_logdir swanlab_mode
    swanlab_project swanlab_run_name swanlab_workspace torch_empty_cache_steps trackio_space_id
    trust_remote_code use_swanlab
    do_eval do_predict compute_accuracy
    """.split()
)


class Record(msgspec.Struct, frozen=True):
    """A run as it was begun.

    Attributes:
        settings: The recipe's settings.
        entry: The registry entries of the dataset, such as ``mat_parquet`` or ``mat,mat_tools``.
        model: Identifies the files of a local model; empty for a model of the hub.
        processes: On all nodes.
        finished: Whether training ended by itself and the model was saved.
    """

    settings: dict[str, Any]
    entry: str
    model: str = ""
    processes: int = 1
    finished: bool = False


class Change(msgspec.Struct, frozen=True):
    """A setting with its values then and now; None if it was not set and has no default."""

    key: str
    before: Any
    now: Any

    def words(self) -> str:
        """For messages.

        >>> Change("learning_rate", 1e-4, 2e-4).words()
        'learning_rate was 0.0001 and is 0.0002'
        """
        return f"{self.key} was {_shown(self.before)} and is {_shown(self.now)}"


def parse(data: bytes) -> Record | None:
    """Reads the file; a damaged one counts as none."""
    try:
        return msgspec.convert(json.loads(data), Record)
    except (ValueError, RecursionError):
        return None


def write(record: Record) -> bytes:
    """The file's content."""
    # Python's own writer has .inf and .nan of YAML, which JSON has not.
    return json.dumps(msgspec.to_builtins(record), indent=2).encode() + b"\n"


def changes(begun: Record, now: Record, known: KnownKeys) -> list[Change]:
    """What differs and matters for training, sorted by key. A key's default is as good as the key.

    The number of processes is not compared: a run may resume on another machine.
    """
    found = [
        Change(key, before, after)
        for key in sorted(begun.settings.keys() | now.settings.keys())
        if key not in _FREE
        and not _same(
            before := _value(key, begun.settings, known),
            after := _value(key, now.settings, known),
        )
    ]
    if begun.entry != now.entry:
        found.append(Change("dataset", begun.entry, now.entry))
    if begun.model and begun.model == now.model:  # perhaps at another path
        found = [change for change in found if change.key != "model_name_or_path"]
    elif begun.model and now.model:
        name = now.settings.get("model_name_or_path")
        found.append(Change(f"the content of {name}", begun.model[:12], now.model[:12]))
    return found


def fault(output_dir: str, changed: list[Change]) -> str:
    """Why a run must not resume with these changes."""
    words = "; ".join(change.words() for change in changed)
    pronoun = "it" if len(changed) == 1 else "them"
    return (
        f"--output-dir {output_dir}: its run was begun with other settings ({words}), and resuming "
        f"would ignore {pronoun} or fail: pass the former, choose another --output-dir, or use "
        "--resume never to train anew"
    )


def _same(before: Any, after: Any) -> bool:
    return bool(before == after) or _text(before) == _text(after)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _value(key: str, settings: Mapping[str, Any], known: KnownKeys) -> Any:
    value = settings.get(key)
    if value is None and key in known.keys:
        return known.keys[key].default
    return value


def _shown(value: Any) -> str:
    return "not set" if value is None else _text(value)[:120]
