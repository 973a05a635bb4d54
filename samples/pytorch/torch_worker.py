"""Answers requests on standard input, a JSON object a line: runs a PyTorch form once and says how long
it took. Started by compare.py, so that each build of BLAS has a process of its own."""
import json
import os
import pathlib
import sys
import time

import numpy as np
import torch

import forms
import inputs

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "reference"))
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
COMPILE = torch.compile if DEVICE == "cuda" and hasattr(torch, "compile") else lambda form: form


def to_device(value):
    if isinstance(value, dict):
        return {key: to_device(item) for key, item in value.items()}
    return torch.from_numpy(value).to(DEVICE)


def load_encoder(folder):
    import adamra_reference as reference
    folder = pathlib.Path(folder)
    model = reference.Encoder(json.loads((folder / "config.json").read_text()))
    tensors, _ = reference.read_safetensors(folder / "model.safetensors")
    model.load_state_dict({name: torch.tensor(np.array(array)) for name, array in tensors.items()})
    return model.eval().to(DEVICE)


def prepare(work):
    """A function of the form's name that runs it on this work's inputs."""
    if work["pass"] == "encoder":
        model = load_encoder(work["model"])
        tokens = to_device(inputs.encoder(work)).long()
        lengths = torch.full((work["batch"],), work["n"], device=DEVICE)
        return lambda name: model(tokens, lengths)
    if work["pass"] == "layer":
        x, weights = map(to_device, inputs.layer(work))
        table = {name: COMPILE(form) for name, form in forms.LAYER.items()}
        return lambda name: table[name](x, weights, work["rates"])
    tensors = [to_device(array) for array in inputs.core(work)]
    table = {name: COMPILE(form) for name, form in forms.CORE.items()}
    return lambda name: table[name](*tensors, work["rates"])


def timed(run):
    if DEVICE == "cuda": # the device's own clock, as for adamra
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        result = run()
        end.record()
        end.synchronize()
        return result, start.elapsed_time(end)
    start = time.perf_counter()
    result = run()
    return result, 1e3 * (time.perf_counter() - start)


def product_gflops(size=1536):
    """What this build's matrix product reaches, or 0 when its result is wrong."""
    a = torch.randn(size, size, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    product = a @ a
    if not torch.allclose(product[:2].double(), a[:2].double() @ a.double(), atol=1e-2):
        return 0.0
    best = min(timed(lambda: a @ a)[1] for _ in range(6))
    return 2e-6 * size ** 3 / best


def main():
    work = run = None
    for line in sys.stdin:
        request = json.loads(line)
        if "work" not in request:
            answer = {"gflops": product_gflops(), "torch": torch.__version__, "device": DEVICE}
        else:
            if request["work"] != work:
                work, run = request["work"], None
                run = prepare(work)
            samples = []
            for _ in range(request["runs"] + 1): # the first one is warm-up
                y, ms = timed(lambda: run(request["form"]))
                samples.append(ms)
            answer = {"samples_ms": samples[1:]}
            if request.get("save"):
                np.save(request["save"], y.cpu().numpy())
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    # Left alone, it takes a thread for two processors that it believes to share a core.
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with torch.inference_mode():
        main()
