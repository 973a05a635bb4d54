"""Answers requests on standard input, a JSON object a line: runs adamra and says how long it took.
Started by compare.py. The layer is no function of the library: `adamra bench` runs it."""
import json
import pathlib
import subprocess
import sys

import numpy as np

import inputs
import library


def bench_layer(program, work, runs):
    """Samples of the layer pass, on inputs of the program's own, which it checks itself."""
    command = [program, "bench", "--pass", "layer", "--attention", "adamra", "-o", "json", "--quiet",
               "--n", work["n"], "--d", work["d"], "--d-model", work["d_model"],
               "--rates", ",".join(map(str, work["rates"])), "--dtype", work["dtype"],
               "-r", runs, "--min-seconds", 0, "--max-seconds", 600]
    row = json.loads(subprocess.run([str(word) for word in command], check=True,
                                    capture_output=True).stdout)["results"][0]
    if row["status"] != "ok":
        raise SystemExit(f"adamra bench: {row['status']}: {row['reason']}")
    return {"samples_ms": row["samples_ms"]}


def prepare(adamra, work, form):
    if work["pass"] == "encoder":
        config = json.loads((pathlib.Path(work["model"]) / "config.json").read_text())
        return library.Encoder(adamra, work["model"], inputs.encoder(work), config["num_labels"])
    return library.Core(adamra, form, *inputs.core(work), work["rates"])


def main():
    adamra, program = library.Adamra(sys.argv[1]), sys.argv[2]
    work, runs = None, {}
    for line in sys.stdin:
        request = json.loads(line)
        form = request["form"]
        if request["work"] != work:
            work, runs = request["work"], {}
        if work["pass"] == "layer":
            print(json.dumps(bench_layer(program, work, request["runs"])), flush=True)
            continue
        if form not in runs:
            runs[form] = prepare(adamra, work, form)
        timings = [runs[form].run() for _ in range(request["runs"] + 1)][1:]
        if request.get("save"):
            np.save(request["save"], runs[form].result())
        samples = [t.device_ms if t.device_ms >= 0 else t.host_ms for t in timings]
        print(json.dumps({"samples_ms": samples}), flush=True)


if __name__ == "__main__":
    main()
