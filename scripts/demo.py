"""The demonstration: sample region, complete chain, trend and validation models, maps and scores against the truth.

Everything a user would run goes through ``qgis_process``; only scoring and drawing happen here.
"""

from __future__ import annotations

import csv
import json
import math
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from demo_maps import draw_maps
from demo_scores import score_maps
from sample_inputs import chain_inputs

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "build" / "demo"
REGION = DEMO / "region"
RESULTS = DEMO / "results"


class Runner:
    """Runs algorithms with qgis_process and keeps the seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def run(self, algorithm: str, label: str = "", **parameters: object) -> dict:
        """Run ``gwsa:algorithm`` and return its outputs; stop with its message when it fails."""
        label = label or algorithm
        print(f"  {label} ...", flush=True)
        begin = time.perf_counter()
        values = [
            f"--{name}={value}"
            for name, given in parameters.items()
            for value in (given if isinstance(given, list) else [given])
        ]
        done = subprocess.run(
            ["qgis_process", "--verbose", "run", f"gwsa:{algorithm}", *values], capture_output=True, text=True
        )
        (DEMO / f"{re.sub(r'[^a-z]+', '_', label)}.log").write_text(done.stdout + done.stderr)
        if done.returncode:
            raise SystemExit(f"{label} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        self._note_steps(label, done.stdout)
        self.seconds[label] = round(time.perf_counter() - begin, 2)
        results = done.stdout.rpartition("Results\n----------------\n")[2]
        return dict(line.split(":\t", 1) for line in results.splitlines() if ":\t" in line)

    def _note_steps(self, label: str, log: str) -> None:
        """Seconds of the steps inside a model, from its log."""
        running = ""
        for match in re.finditer(r"Running (.+?) \[\d+/\d+\]|OK\. Execution took ([\d.]+) s", log):
            if match[1]:
                running = match[1]
            elif running:
                self.seconds[f"{label}: {running}"] = round(float(match[2]), 2)
                running = ""


def run_chain(runner: Runner) -> dict[str, dict]:
    """Run the complete model as recommended, then the published recipe on the same prepared inputs."""
    chain = runner.run(
        "completechain",
        "complete chain",
        **chain_inputs(REGION),
        **{
            name: str(RESULTS / f"{name}{suffix}")
            for name, suffix in {
                "gwsa_fine": ".tif",
                "gwsa_coarse": ".tif",
                "twsa_filled": ".tif",
                "native_mascons": ".tif",
                "baseline_mask": ".tif",
                "aquifer_classes": ".tif",
                "aquifer_classes_coarse": ".tif",
                "closure_table": ".csv",
                "training_scores": ".csv",
                "training_report": ".html",
                "project_report": ".html",
                "project_figures": ".json",
                "uncertainty_of_gwsa_fine": ".tif",
                "trained_models": ".gwsa",
                "fine_predictors": "",
                "coarse_predictors": "",
            }.items()
        },
        trend=str(RESULTS / "chain_trend.tif"),
        significance_p=str(RESULTS / "chain_p_value.tif"),
        significant_trends=str(RESULTS / "chain_dots.gpkg"),
    )
    common = {"TARGET": chain["gwsa_coarse"]}
    training = runner.run(
        "trainmodels",
        "published: train",
        PREDICTORS=chain["coarse_predictors"],
        AQUIFERS=chain["aquifer_classes_coarse"],
        PRESET="published",
        SAMPLES=20000,  # the paper's 200,000 and a wider search take minutes
        SEARCH_ITERATIONS=3,
        SPLITS=["random", "blocks"],  # the chain's own training has all four
        MODEL=str(RESULTS / "published.gwsa"),
        METRICS=str(RESULTS / "published_scores.csv"),
        **common,
    )
    prediction = runner.run(
        "predict",
        "published: predict",
        MODEL=training["MODEL"],
        PREDICTORS=chain["fine_predictors"],
        AQUIFERS=chain["aquifer_classes"],
        MASK=chain["baseline_mask"],
        OUTPUT=str(RESULTS / "published_prediction.tif"),
    )
    corrected = {}
    for method in ("spline", "exact"):
        corrected[method] = runner.run(
            "correctresiduals",
            f"published: correct ({method})",
            PREDICTION=prediction["OUTPUT"],
            METHOD=method,
            OUTPUT=str(RESULTS / f"published_{method}.tif"),
            CLOSURE=str(RESULTS / f"published_{method}_closure.csv"),
            **common,
        )
    return {"chain": chain, "training": training, **corrected}


def run_models_after(runner: Runner, chain: dict) -> tuple[dict, dict]:
    """Trend and validation models on the corrected map."""
    trend = runner.run(
        "trendandclasses",
        "trend and classes",
        INPUT=chain["gwsa_fine"],
        MASK=chain["baseline_mask"],
        UNIT="year",
        trend=str(RESULTS / "trend.tif"),
        significance_p=str(RESULTS / "p_value.tif"),
        significance_plain_test_p=str(RESULTS / "p_plain.tif"),
        trend_classes=str(RESULTS / "trend_classes.tif"),
        trend_report=str(RESULTS / "trend.html"),
    )
    validation = runner.run(
        "validation",
        FINE=chain["gwsa_fine"],
        COARSE=chain["gwsa_coarse"],
        CLASSES_COARSE=chain["aquifer_classes_coarse"],
        MASCONS=chain["native_mascons"],
        WELLS=str(REGION / "wells" / "wells.gpkg"),
        LEVELS=str(REGION / "wells" / "levels.csv"),
        MODEL=chain["trained_models"],
        START="2006-01",
        END="2020-12",
        consistency_figures=str(RESULTS / "consistency.csv"),
        consistency_report=str(RESULTS / "consistency.html"),
        well_figures=str(RESULTS / "wells.csv"),
        well_report=str(RESULTS / "wells.html"),
        wells_with_figures=str(RESULTS / "wells.gpkg"),
        project_report=str(RESULTS / "validation_report.html"),
        project_figures=str(RESULTS / "validation.json"),
    )
    return trend, validation


def step_figures(runs: dict[str, dict], validation: dict) -> dict:
    """Figures that the steps themselves reported, from their tables."""
    chain = runs["chain"]
    before, after = closure_rmse(chain["closure_table"])
    published_before, published_after = closure_rmse(runs["spline"]["CLOSURE"])
    cells = find(validation["consistency_figures"], support="cell", period="all months", **{"class": "all"})
    mascons = find(validation["consistency_figures"], support="mascon", period="all months", **{"class": "all"})
    wells = find(validation["well_figures"], what="trend (cm/yr)", support="well", map="fine map")
    coarse = find(validation["well_figures"], what="trend (cm/yr)", support="well", map="coarse field")
    binned = find(validation["well_figures"], what="trend (cm/yr), bin means", support="cell", map="fine map")
    blocked = find(chain["training_scores"], split="spatial blocks", quantity="deviation", **{"class": "all"})
    scores = {name: float(cells[column]) for name, column in (("r2", "r2"), ("cc", "cc"), ("rmse", "rmse_cm"))}
    return {
        "closure_rmse_cm": {
            "before": before,
            "after": after,
            "published_before": published_before,
            "published_after": published_after,
            "published_exact_after": closure_rmse(runs["exact"]["CLOSURE"])[1],
        },
        "consistency": scores | {"mascon_r2": float(mascons["r2"]), "mascon_rmse": float(mascons["rmse_cm"])},
        "wells": {
            "n": int(wells["n"]),
            "r2": float(wells["r2"]),
            "spearman": float(wells["spearman"]),
            "binned_r2": float(binned["r2"]),
            "coarse_r2": float(coarse["r2"]),
            "coarse_spearman": float(coarse["spearman"]),
        },
        "training": {
            "blocked_r2": float(blocked["r2"]),
            "published_random_r2": float(runs["training"]["RANDOM_R2"]),
            "published_blocked_r2": float(runs["training"]["BLOCKED_R2"]),
        },
    }


def closure_rmse(table: str) -> tuple[float, float]:
    """Root mean square closure difference before and after, over all supports and months."""
    months = [row for row in read_table(table) if row["by"] == "month"]
    count = sum(int(row["n"]) for row in months)
    return tuple(
        math.sqrt(sum(int(row["n"]) * float(row[column]) ** 2 for row in months) / count)
        for column in ("rmse_before_cm", "rmse_after_cm")
    )


def find(table: str, **wanted: str) -> dict[str, str]:
    """First row of a table with the wanted values."""
    return next(row for row in read_table(table) if all(row[key] == value for key, value in wanted.items()))


def read_table(path: str) -> list[dict[str, str]]:
    """Rows of a CSV table."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def print_table(summary: dict) -> None:
    """Print the summary as a small table."""
    print(f"\n{'fine map against the truth':44}{'RMSE cm':>9}{'R2':>8}")
    for name, rmse in sorted(summary["fine_rmse_cm"].items(), key=lambda item: item[1]):
        print(f"  {name:42}{rmse:9.3f}{summary['fine_r2'][name]:8.3f}")
    for name in ("closure_rmse_cm", "consistency", "wells", "training"):
        print(name + ": " + ", ".join(f"{k} {v:.4g}" for k, v in summary[name].items()))
    print("seconds: " + ", ".join(f"{k} {v:g}" for k, v in summary["seconds"].items() if ":" not in k))
    print(
        f"total {summary['total_seconds']:.0f} s, peak {summary['peak_mb']:.0f} MB; maps and summary.json in build/demo"
    )


def main() -> None:
    """Run the demonstration."""
    begin = time.perf_counter()
    shutil.rmtree(DEMO, ignore_errors=True)
    RESULTS.mkdir(parents=True)
    subprocess.run(["qgis_process", "plugins", "enable", "gwsa_qgis"], capture_output=True)  # 1 if it was enabled
    runner = Runner()
    print("Running with qgis_process:")
    runner.run("sampleregion", "sample region", FOLDER=str(REGION))
    runs = run_chain(runner)
    trend, validation = run_models_after(runner, runs["chain"])
    print("Scoring and drawing ...", flush=True)
    scores = score_maps(REGION, runs["chain"], {method: runs[method]["OUTPUT"] for method in ("spline", "exact")})
    summary = {**scores, **step_figures(runs, validation), "seconds": runner.seconds}
    summary["total_seconds"] = time.perf_counter() - begin
    summary["peak_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    draw_maps(REGION, runs["chain"], trend, DEMO)
    (DEMO / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print_table(summary)


if __name__ == "__main__":
    main()
