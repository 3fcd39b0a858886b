"""The paragraph of methods that an analyst can paste, and the limits that hold for a map, in plain words."""

from __future__ import annotations

PAPER = (
    "High-resolution global groundwater storage anomalies: a 1 km downscaled dataset (Earth System Science Data preprint, "
    "essd-2026-409)"
)
REFERENCES = (
    "Breiman, L. (1996): Stacked regressions. doi:10.1007/BF00117832.",
    "Chen, T., Guestrin, C. (2016): XGBoost: a scalable tree boosting system. doi:10.1145/2939672.2939785.",
    "Save, H., Bettadpur, S., Tapley, B. D. (2016): High-resolution CSR GRACE RL05 mascons. doi:10.1002/2016JB013007.",
    "Rodell, M. et al. (2004): The Global Land Data Assimilation System. doi:10.1175/BAMS-85-3-381.",
    "Yi, S., Sneeuw, N. (2021): Filling the data gaps within GRACE missions using singular spectrum analysis. "
    "doi:10.1029/2020JB021227.",
    f"{PAPER}.",
)
TREND_REFERENCES = (
    "Cleveland, R. B. et al. (1990): STL: a seasonal-trend decomposition procedure based on loess. Journal of Official "
    "Statistics 6, 3-73.",
    "Hamed, K. H., Rao, A. R. (1998): A modified Mann-Kendall trend test for autocorrelated data. "
    "doi:10.1016/S0022-1694(97)00125-X.",
    "Sen, P. K. (1968): Estimates of the regression coefficient based on Kendall's tau. doi:10.1080/01621459.1968.10480934.",
)


def methods_paragraph(figures: dict) -> str:
    """Methods of the run in a few sentences, from what its files say."""
    stack, model = figures["map"], figures.get("model")
    texts = [
        f"Monthly groundwater storage anomalies ({stack['first_month']} to {stack['last_month']}, cm of equivalent water "
        f"height{', relative to ' + stack['baseline'] if stack['baseline'] else ''}) were derived from GRACE and GRACE-FO mascon "
        "solutions by subtracting soil moisture, snow and canopy water of a land-surface model, and downscaled with "
        f"gwsa_qgis {figures['version']} after {PAPER}."
    ]
    if stack["filled_months"]:
        texts.append(
            f"{len(stack['filled_months'])} months without a solution were filled from the series themselves (singular "
            "spectrum analysis, Yi and Sneeuw 2021)."
        )
    if model:
        support = model["support"]
        kind = "native mascons" if support["kind"] == "mascons" else "coarse cells"
        if model["preset"] == "recommended":
            texts.append(
                f"Deviations of {support['count']} {kind} from the field around them were learned from "
                f"{len(model['predictors'])} predictors by a ridge regression stacked with trees; the predicted detail was "
                f"weighted by its skill in held-out blocks (weight {model['pooled_weight']:.2f}) and the map closed exactly "
                f"on the {kind}."
            )
        else:
            texts.append(
                f"Levels of {support['count']} {kind} were learned from {len(model['predictors'])} predictors, one model a "
                "class, and the residuals corrected, as published."
            )
        versions = ", ".join(f"{name} {number}" for name, number in model.get("versions", {}).items())
        texts.append(f"Seed {model['seed']}; {versions}.")
    if "trend" in figures:
        texts.append(
            "Trends are Theil-Sen slopes of series deseasonalised by STL; their significance allows for month-to-month "
            "correlation (Hamed and Rao 1998, with an AR(1) variance factor)."
        )
    return " ".join(texts)


def limits(figures: dict) -> list[str]:
    """What not to believe, for this map."""
    texts = [
        "GRACE sees about 150,000 km2 at a time: the mean of a region of that size is measured, the detail within is "
        "estimated.",
        "What is called groundwater is what a land-surface model leaves of the total: errors of its soil moisture and snow, "
        "and surface water that it lacks, are in it.",
    ]
    model, consistency = figures.get("model"), figures.get("consistency")
    if model and model["preset"] == "recommended" and not model["pooled_weight"] > 0:
        texts.append(
            "No detail has earned a weight: the map is the coarse field, interpolated exactly, and no sharper."
        )
    if model and model["preset"] == "published":
        texts.append(
            "The published recipe was used. Its random scores say little of places without measurements, and tests with a "
            "known truth found its map worse than interpolation."
        )
    if figures["map"]["filled_months"]:
        texts.append("Filled months are estimates; nothing that happens in them alone should be read from the map.")
    if consistency:
        texts.append(
            "Agreement with the coarse field shows that no mass was lost; it says nothing of the detail within a cell."
        )
    if "wells" not in figures:
        texts.append("The map was not compared with wells.")
    if "uncertainty" not in figures:
        texts.append("No uncertainty was given: differences between neighbouring pixels should not be read as facts.")
    return texts
