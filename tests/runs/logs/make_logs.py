"""Write the fixtures with the tools themselves; each is skipped where its tool is not installed.

``python tests/runs/logs/make_logs.py FOLDER [TOOL ...]`` writes one small run of each tool: N = 1e6
parameters, 24 steps of 8,000 tokens, the losses of `curve`. Names of machines, users and folders
are taken out of what is written, and the tables of MLflow's database that hold no logs are dropped.
"""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

STEPS, EVERY, TOKENS, PARAMETERS = 24, 8, 8000, 1_000_000


def curve(step: int) -> float:
    """Loss at a step from 1."""
    return 2.0 + 3.0 * step**-0.5


def rate(step: int) -> float:
    """Cosine schedule that ends near zero."""
    return 1e-3 * 0.5 * (1 + math.cos(math.pi * step / STEPS)) + 1e-6


def wandb(folder: Path) -> None:
    os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_CONSOLE": "off"}
    import wandb as tool

    settings = tool.Settings(
        x_disable_stats=True, x_disable_meta=True, x_disable_machine_info=True, console="off",
        disable_git=True, disable_code=True, host="host", x_save_requirements=False,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        run = tool.init(project="p", name="gpt-1M", dir=scratch, settings=settings, tags=["a", "b"],
                        config={"n_params": PARAMETERS, "lr": 1e-3,
                                "model": {"width": 64}})  # fmt: skip
        for step in range(1, STEPS + 1):
            row = {"train/loss": curve(step), "tokens": step * TOKENS, "lr": rate(step),
                   "train/global_step": step}  # fmt: skip
            run.log(row | ({"eval": {"loss": curve(step)}} if step % EVERY == 0 else {}))
        run.finish()
        tool.teardown()  # the file is written by another process
        (path,) = Path(scratch).rglob("*.wandb")
        folder.mkdir(parents=True)
        shutil.copy(path, folder / "run-abcd1234.wandb")


def tensorboardx(folder: Path) -> None:
    from tensorboardX import SummaryWriter

    _tensorboard(SummaryWriter(str(folder)), folder)


def torch_tensorboard(folder: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    _tensorboard(SummaryWriter(str(folder)), folder, new_style=True)


def _tensorboard(writer: object, folder: Path, **style: bool) -> None:
    for step in range(1, STEPS + 1):
        writer.add_scalar("train/loss", curve(step), step, **style)  # type: ignore[attr-defined]
        writer.add_scalar("tokens", step * TOKENS, step)  # type: ignore[attr-defined]
        if step % EVERY == 0:
            writer.add_scalar("eval/loss", curve(step), step)  # type: ignore[attr-defined]
    writer.add_scalar("n_params", PARAMETERS, 0)  # type: ignore[attr-defined]
    writer.close()  # type: ignore[attr-defined]
    for path in folder.rglob("events*"):
        path.rename(path.with_name("events.out.tfevents.1700000000.host"))


def mlflow_files(folder: Path) -> None:
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    _mlflow(f"file:{folder}")
    for path in folder.rglob("tags/mlflow.*"):
        if path.name != "mlflow.runName":
            path.unlink()
    for path in folder.rglob("meta.yaml"):
        lines = path.read_text().splitlines()
        hidden = ("artifact_uri", "artifact_location", "user_id", "source_name")
        path.write_text("\n".join(x for x in lines if not x.startswith(hidden)) + "\n")
    shutil.rmtree(folder / "0", ignore_errors=True)
    for path in sorted(folder.rglob("artifacts")):
        shutil.rmtree(path)


def mlflow_database(folder: Path) -> None:
    folder.mkdir(parents=True)
    path = folder / "mlflow.db"
    _mlflow(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA foreign_keys = OFF")
        tables = [r[0] for r in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in set(tables) - {"runs", "metrics", "params", "tags"}:
            base.execute(f'DROP TABLE "{name}"')
        base.execute("DELETE FROM tags WHERE key LIKE 'mlflow.%' AND key <> 'mlflow.runName'")
        base.execute("UPDATE runs SET user_id = '', artifact_uri = '', source_name = ''")
        for (name,) in base.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall():
            base.execute(f'DROP INDEX "{name}"')
        base.commit()
        base.execute("PRAGMA journal_mode = DELETE")
        base.execute("PRAGMA page_size = 512")
        base.execute("VACUUM")


def _mlflow(uri: str) -> None:
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("e")
    with mlflow.start_run(run_name="gpt-1M"):
        mlflow.log_params({"n_params": PARAMETERS, "lr": 1e-3})
        mlflow.set_tag("group", "a")
        for step in range(1, STEPS + 1):
            row = {"train/loss": curve(step), "tokens": float(step * TOKENS)}
            mlflow.log_metrics(row, step=step)
            if step % EVERY == 0:
                mlflow.log_metric("eval/loss", curve(step), step=step)
        mlflow.log_metric("eval/loss", math.nan, step=STEPS // 2)


def trainer(folder: Path) -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

    torch.manual_seed(0)
    sizes = GPT2Config(n_layer=1, n_head=2, n_embd=16, vocab_size=64, n_positions=16)
    blocks = [{"input_ids": torch.randint(0, 64, (16,))} for _ in range(64)]
    blocks = [block | {"labels": block["input_ids"]} for block in blocks]
    with tempfile.TemporaryDirectory() as scratch:
        options = TrainingArguments(
            output_dir=scratch, max_steps=STEPS, logging_steps=2, eval_strategy="steps",
            eval_steps=EVERY, save_steps=EVERY, per_device_train_batch_size=4, report_to=[],
            include_num_input_tokens_seen="all", use_cpu=True, seed=0, disable_tqdm=True,
        )  # fmt: skip
        Trainer(GPT2LMHeadModel(sizes), options, train_dataset=blocks,
                eval_dataset=blocks[:8]).train()  # fmt: skip
        for path in Path(scratch).glob("checkpoint-*"):
            kept = folder / path.name
            kept.mkdir(parents=True)
            shutil.copy(path / "trainer_state.json", kept)
            with (path / "model.safetensors").open("rb") as file:
                head = file.read(8)
                # The header alone: it holds the shapes, and the reader opens nothing else.
                (kept / "model.safetensors").write_bytes(
                    head + file.read(int.from_bytes(head, "little"))
                )


def lightning(folder: Path) -> None:
    import torch
    from lightning import LightningModule, Trainer
    from lightning.pytorch.loggers import CSVLogger

    class Model(LightningModule):
        def __init__(self, n_params: int = PARAMETERS, width: int = 4, note: str = "a: b") -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(width, 1)

        def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
            step = self.global_step + 1
            loss = self.layer(batch).square().mean()
            self.log("train_loss", loss * 0 + curve(step))
            self.log("tokens", float(step * TOKENS))
            return loss

        def validation_step(self, batch: torch.Tensor, _: int) -> None:
            self.log("val_loss", torch.tensor(curve(self.global_step), dtype=torch.float64))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=1e-3)

    data = torch.utils.data.DataLoader(torch.zeros(8, 4), batch_size=1)
    logger = CSVLogger(str(folder.parent), name=folder.name)
    Trainer(max_epochs=STEPS // 8, logger=logger, log_every_n_steps=2, accelerator="cpu",
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            num_sanity_val_steps=0).fit(Model(), data, data)  # fmt: skip


TOOLS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "wandb": ("wandb", wandb),
    "tensorboardx": ("tensorboardX", tensorboardx),
    "torch_tensorboard": ("torch.utils.tensorboard", torch_tensorboard),
    "mlflow_files": ("mlflow", mlflow_files),
    "mlflow_database": ("mlflow", mlflow_database),
    "trainer": ("transformers", trainer),
    "lightning": ("lightning", lightning),
}
"""Tool -> the module it needs, and what writes its run into a folder."""

if __name__ == "__main__":
    target = Path(sys.argv[1]).absolute()
    for tool in sys.argv[2:] or TOOLS:
        module, make = TOOLS[tool]
        try:
            __import__(module)
        except ImportError as error:
            print(f"{tool}: skipped, {error}")
            continue
        shutil.rmtree(target / tool, ignore_errors=True)
        make(target / tool)
        print(tool, sum(p.stat().st_size for p in (target / tool).rglob("*") if p.is_file()))
