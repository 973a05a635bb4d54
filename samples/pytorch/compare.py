#!/usr/bin/python3
"""Compares adamra with PyTorch on this machine: same inputs, results checked equal, runs
interleaved, the faster build of BLAS for PyTorch, and an allocator that keeps its memory. Times of
adamra are the device's, those of PyTorch the host's clock's (on a GPU after a synchronisation).
Needs numpy and torch (Debian: python3-torch)."""
import argparse
import glob
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import inputs

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOLERANCE = {"f32": 2e-4, "f16": 5e-3}
NEAR_TIE = 1e-4
PAUSE_S = 0.2  # after a run, threads of OpenMP's and BLAS' spin for a while in case there is more
# (name, worker, form): the last word of a name says whose it is.
FORMS = {
    "core": [("adamra, Vulkan", "ours", "adamra"), ("adamra naive, PyTorch", "torch", "naive"),
             ("adamra best, PyTorch", "torch", "best")],
    "softmax": [("softmax, Vulkan", "ours", "softmax"), ("softmax, PyTorch", "torch", "softmax")],
    "layer": [("layer, Vulkan", "ours", "layer"), ("layer naive, PyTorch", "torch", "naive"),
              ("layer best, PyTorch", "torch", "best")],
    "encoder": [("encoder, Vulkan", "ours", "encoder"), ("encoder, PyTorch", "torch", "encoder")],
}
JOINED = ("adamra joined, PyTorch", "torch", "joined") # of core, on GPUs


def forms_of(name, dtype, device):
    """Sums of the naive form pass what 16 bits hold."""
    extra = [JOINED] if name == "core" and device == "cuda" else []
    return [form for form in FORMS[name] + extra if dtype == "f32" or form[2] != "naive"]


class Worker:
    def __init__(self, command, environment=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment)

    def ask(self, **request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("compare.py: a worker ended early; its message is above")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# glibc's allocator gives large tensors back to the system and gets them anew, page by page, in every
# run. Kept, the naive form is up to 6 times as fast; variables that are set already stay as they are.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
             "MALLOC_TOP_PAD_": str(1 << 28)}


def torch_environments():
    """Builds of OpenBLAS that Debian has side by side, with and without forced kernels. The first is
    the usual one."""
    folders = [None, *glob.glob("/usr/lib/*/openblas-openmp"), *glob.glob("/usr/lib/*/openblas-pthread")]
    for folder in folders:
        for forced in ("OPENBLAS_CORETYPE" in os.environ, False):
            environment = ALLOCATOR | dict(os.environ)
            if folder:
                environment["LD_LIBRARY_PATH"] = folder
            if not forced:
                environment.pop("OPENBLAS_CORETYPE", None)
                environment.pop("OPENBLAS_L2_SIZE", None)
            yield (folder or "default BLAS") + (", forced kernels" if forced else ""), environment
            if not forced:
                break


def start_torch():
    """The strongest opponent: the worker whose matrix product is the fastest, and right."""
    best, best_info, best_name = None, {"gflops": 0}, None
    for name, environment in torch_environments():
        worker = Worker([sys.executable, HERE / "torch_worker.py"], environment)
        info = worker.ask()
        if info["gflops"] > best_info["gflops"]:
            worker, best, best_info, best_name = best, worker, info, name
        if worker:
            worker.close()
        if info["device"] == "cuda": # which build of BLAS there is does not matter
            break
    if not best:
        raise SystemExit("compare.py: no build of PyTorch here multiplies matrices correctly")
    return best, best_info | {"blas": best_name}


def clear_rows(work):
    """Rows whose router prefers one head by more than rounding."""
    if work["pass"] == "layer":
        x, weights = inputs.layer(work)
        logits = x @ weights["q"] @ weights["router"]
    else:
        logits = inputs.core(work)[3]
    best = np.sort(logits, -1)[:, -2:]
    return best[:, -1] - best[:, 0] > (NEAR_TIE if logits.shape[1] > 1 else -1)


def worst_difference(work, results):
    """Of all results to the first PyTorch one, over rows without near ties."""
    rows = slice(None) if work["pass"] == "encoder" else clear_rows(work)
    reference = results["torch"][0][rows].astype(np.float32)
    scale = max(1.0, float(np.abs(reference).max()))
    return max(float(np.abs(y[rows] - reference).max()) / scale
               for group in results.values() for y in group)


def check(workers, work, forms):
    """Runs each form once; the worst difference, None where inputs differ (layer)."""
    results = {"ours": [], "torch": []}
    with tempfile.TemporaryDirectory() as folder:
        for _, who, form in forms:
            path = os.path.join(folder, "y.npy")
            shared = work["pass"] != "layer" or who == "torch"
            workers[who].ask(work=work, form=form, runs=1, save=path if shared else None)
            if shared:
                results[who].append(np.load(path))
    worst = worst_difference(work, results)
    tolerance = TOLERANCE[work["dtype"]]
    if not worst <= tolerance:
        raise SystemExit(f"compare.py: {work}: results differ by {worst:.2g}, more than {tolerance}")
    return worst


def measure(workers, work, forms, rounds, runs):
    """Each round runs every form a few times, so that drift hits all alike."""
    for _, who, form in forms:
        workers[who].ask(work=work, form=form, runs=runs)
    times = {name: [] for name, _, _ in forms}
    for _ in range(rounds):
        for name, who, form in forms:
            time.sleep(PAUSE_S)
            answer = workers[who].ask(work=work, form=form, runs=runs)
            times[name].append(statistics.median(answer["samples_ms"]))
    return times


def report(label, worst, times):
    names = list(times)
    ours = times[names[0]]
    print(f"\n{label}: worst difference {worst:.1e}")
    for name in names:
        ms = times[name]
        line = f"  {name:24} {statistics.median(ms):10.2f} ms  ({min(ms):.2f} to {max(ms):.2f})"
        if name != names[0]:
            ratios = sorted(theirs / own for theirs, own in zip(ms, ours))
            line += (f"  {statistics.median(ratios):6.2f} times ours"
                     f"  ({ratios[0]:.2f} to {ratios[-1]:.2f})")
        print(line, flush=True)


def works(options, device):
    base = {"seed": options.seed, "d": options.d, "rates": options.rates, "d_model": options.d_model,
            "dtype": options.dtype}
    for name in options.passes:
        forms = forms_of(name, options.dtype, device)
        if name == "encoder" and options.dtype == "f16":
            continue
        for n in options.softmax_n if name == "softmax" else options.n:
            if name == "encoder":
                work = base | {"pass": "encoder", "n": 1024, "batch": 16, "model": str(options.model)}
                yield f"encoder, batch 16, n 1024, {options.model.name}", work, forms
                break
            work = base | {"pass": "core" if name == "softmax" else name, "n": n}
            label = f"{name}, n {n}, d {options.d}, {options.dtype}"
            yield label + (f", d_model {options.d_model}" if name == "layer" else ""), work, forms


def numbers(text):
    return [int(word) for word in text.split(",")]


def read_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--passes", type=lambda text: text.split(","),
                        default="core,softmax,layer,encoder", help="of core, softmax, layer, encoder")
    parser.add_argument("--n", type=numbers, default="16384,65536", help="lengths")
    parser.add_argument("--softmax-n", type=numbers, default="4096", help="lengths for softmax")
    parser.add_argument("--d", type=int, default=64, help="width of a head, a multiple of 4")
    parser.add_argument("--d-model", type=int, default=512, help="width of a layer")
    parser.add_argument("--rates", type=numbers, default="1,2,4,8", help="one per head")
    parser.add_argument("--dtype", choices=TOLERANCE, default="f32",
                        help="storage; f16 on GPUs, of all but the encoder, which is then left out")
    parser.add_argument("--rounds", type=int, default=9, help="in each of which all forms run in turn")
    parser.add_argument("--runs", type=int, default=3,
                        help="of a form in a round, after one that does not count")
    parser.add_argument("--seed", type=int, default=1, help="of the inputs")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="build folder")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "samples/models/langid",
                        help="of the encoder")
    parser.add_argument("--json", type=pathlib.Path, help="writes all times there, too")
    options = parser.parse_args()
    unknown = set(options.passes) - set(FORMS)
    if unknown:
        parser.error(f"--passes: no such pass: {', '.join(unknown)}")
    if options.rounds < 1 or options.runs < 1:
        parser.error("--rounds, --runs: at least 1")
    return options


def main():
    options = read_options()
    torch_worker, info = start_torch()
    print(f"PyTorch {info['torch']} on {info['device']}, {info['blas']}: "
          f"{info['gflops']:.0f} GFLOP/s in a product")
    ours = Worker([sys.executable, HERE / "adamra_worker.py", options.build / "api/libadamra.so",
                   options.build / "samples/adamra"])
    workers, kept = {"ours": ours, "torch": torch_worker}, []
    if options.dtype == "f16" and info["device"] == "cpu":
        raise SystemExit("compare.py: --dtype f16: PyTorch multiplies 16 bit matrices on GPUs only")
    for label, work, forms in works(options, info["device"]):
        worst = check(workers, work, forms)
        times = measure(workers, work, forms, options.rounds, options.runs)
        report(label, worst, times)
        kept.append({"work": work, "worst_difference": worst, "ms": times})
    for worker in workers.values():
        worker.close()
    if options.json:
        options.json.write_text(json.dumps({"torch": info, "results": kept}, indent=1) + "\n")


if __name__ == "__main__":
    main()
