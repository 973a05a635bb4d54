"""Writes the logits that the model samples/models/langid must give for a few of its test texts.

usage: make_langid_cases.py OUT.safetensors
tokens I32 [B, n] (padded with the model's pad token), lengths I32 [B] and logits F32
[B, num_labels], computed in float64 by adamra_reference.py. It prints the least difference between
the two best router logits of all queries: where it is near rounding, an engine may choose another
head, and other texts should be taken.
Needs Debian's python3-torch and python3-numpy; run with /usr/bin/python3.
"""

import json
import pathlib
import sys

import numpy as np
import torch

from adamra_reference import Encoder, read_safetensors, write_safetensors

MODEL = pathlib.Path(__file__).resolve().parents[2] / "samples" / "models" / "langid"
COUNT = 12
# Bytes. Beyond 256 segments a state is summed in stretches, here of 165 keys: one text has two.
LONG, SHORT = 330, 150


def load():
    torch.set_default_dtype(torch.float64)
    model = Encoder(json.loads((MODEL / "config.json").read_text()))
    weights, _ = read_safetensors(MODEL / "model.safetensors")
    model.load_state_dict({name: torch.tensor(array).double() for name, array in weights.items()})
    return model.eval()


def texts(labels):
    """The shortest text, one of about LONG bytes, a short one of each of the first languages."""
    rows = [json.loads(line) for line in (MODEL / "test.jsonl").read_text().splitlines()]
    rows.sort(key=lambda row: len(row["text"].encode()))
    sizes = [len(row["text"].encode()) for row in rows]
    chosen = [rows[0], rows[max(i for i, size in enumerate(sizes) if size <= LONG)]]
    for label in labels[: COUNT - len(chosen)]:
        own = [row for row, size in zip(rows, sizes) if row["label"] == label and size <= SHORT]
        chosen.append(own[-1])
    return chosen


def router_margin(layer, n):
    """The least difference between a query's two best logits (its probabilities' logs)."""
    best = layer.attention.router_probs[0, :, :n].log().topk(2, dim=-1).values
    return (best[..., 0] - best[..., 1]).min().item()


def main():
    model = load()
    config = model.config
    chosen = texts(config["labels"])
    data = [row["text"].encode() for row in chosen]
    lengths = np.array([len(row) for row in data], np.int32)
    tokens = np.full((len(data), lengths.max()), config["pad_token_id"], np.int32)
    for row, text in enumerate(data):
        tokens[row, : len(text)] = list(text)
    logits, margins = [], []
    with torch.no_grad():
        for row, length in zip(tokens, lengths):
            batch = torch.tensor(row[None, :length]).long(), torch.tensor([length])
            logits.append(model(*batch, slow=True)[0].numpy())
            margins += [router_margin(layer, length) for layer in model.layers]
    logits = np.array(logits, np.float32)
    write_safetensors(sys.argv[1], {"tokens": tokens, "lengths": lengths, "logits": logits})
    labels = [config["labels"].index(row["label"]) for row in chosen]
    print("lengths", lengths.tolist(), "least router margin", min(margins))
    print("right", int((logits.argmax(-1) == labels).sum()), "of", len(labels))


if __name__ == "__main__":
    main()
