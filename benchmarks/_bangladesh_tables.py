"""Tables of the Bangladesh benchmark: as text to print, and for `RESULTS.md`."""

# What the design of the method found for the same data with other code and more predictors (RMSE, cm).
EARLIER = {
    "1 deg": {
        "bilinear": 2.087,
        "cubic": 1.974,
        "histospline": 1.876,
        "published, spline": 2.348,
        "published, exact": 2.27,
        "recommended": 1.872,
    },
    "0.5 deg": {"histospline": 1.292, "published, exact": 1.428, "recommended": 1.288},
}


def table(result: dict) -> str:
    """The figures as text."""
    lines = []
    for name, part in result["groundwater"].items():
        lines += [
            f"GLDAS-2.2 CLSM groundwater, from {name} ({part['cells']} cells) to 0.25 deg ({part['pixels']} pixels), "
            f"{part['months']} months",
            f"{'field':20}{'RMSE cm':>9}{'R2':>8}{'R2 in cells':>13}{'closure max':>13}{'slope RMSE':>12}{'earlier':>9}",
        ]
        for field, scores in part["scores"].items():
            closed = part["closure"].get(field)
            slope = part["trend"].get(field)
            earlier = EARLIER[name].get(field)
            lines.append(
                f"{field:20}{scores['rmse']:9.3f}{scores['r2']:8.3f}{scores['detail_r2']:13.3f}"
                + (f"{closed['largest_after']:13.1e}" if closed else f"{'':13}")
                + (f"{slope['rmse']:12.3f}" if slope else f"{'':12}")
                + (f"{earlier:9.3f}" if earlier else "")
            )
        lines.append(
            f"weight of the detail {part['recommended']['weight']:.2f}; R2 on held-out groups: of deviations "
            f"{part['recommended']['blocked_r2']:.3f}, of levels {part['published']['blocked_r2']:.3f} "
            f"(on a random 30 %: {part['published']['random_r2']:.3f}); {part['seconds']} s"
        )
        less = part["recommended"]["less histospline"]
        lines.append(
            f"recommended less histospline: {less['rmse']:+.4f} cm (95 % interval by bootstrap over coarse cells "
            f"{less['low']:+.4f} to {less['high']:+.4f})"
        )
        lines.append("")
    twsa = result["twsa"]
    lines += [
        f"CSR TWSA, {twsa['months']} months of which {twsa['missing']} were removed, {twsa['cells']} cells in "
        f"{twsa['mascons']} mascons",
        f"  filled by SSA: {twsa['fill_rms_difference_to_linear']:.2f} cm RMS from linear interpolation; "
        f"{twsa['held_out_months']} observed months taken out: RMSE {twsa['held_out_rmse_ssa']:.2f} cm by SSA, "
        f"{twsa['held_out_rmse_linear']:.2f} linear",
        f"  from mascons to cells: weight {twsa['weight']:.2f}, R2 of deviations on held-out groups "
        f"{twsa['blocked_r2']:.3f}, closure {twsa['closure_rmse_before']:.2f} cm RMSE before, "
        f"{twsa['largest_mascon_difference']:.1e} cm at most after; {twsa['seconds']} s",
    ]
    return "\n".join(lines)


def markdown(result: dict) -> str:
    """The figures as the tables of `RESULTS.md`."""
    scales = list(result["groundwater"])
    head = " | ".join(f"{name}: RMSE cm | R2 | R2 in cells | slope RMSE cm/yr | earlier RMSE" for name in scales)
    lines = [f"| field | {head} |", "|---" * (1 + 5 * len(scales)) + "|"]
    for field in result["groundwater"][scales[0]]["scores"]:
        cells = [field]
        for scale in scales:
            part = result["groundwater"][scale]
            scores, slope = part["scores"][field], part["trend"].get(field)
            cells += [f"{scores['rmse']:.3f}", f"{scores['r2']:.3f}", f"{scores['detail_r2']:.3f}"]
            cells += [f"{slope['rmse']:.3f}" if slope else "", f"{EARLIER[scale].get(field, '')}"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| of the models | " + " | ".join(scales) + " |", "|---" * (1 + len(scales)) + "|"]
    parts = result["groundwater"].values()
    rows = {
        "coarse cells, fine pixels, months": [f"{p['cells']}, {p['pixels']}, {p['months']}" for p in parts],
        "recommended less histospline, cm (95 % interval, bootstrap over coarse cells)": [
            "{rmse:+.4f} ({low:+.4f} to {high:+.4f})".format(**p["recommended"]["less histospline"]) for p in parts
        ],
        "weight of the predicted detail": [f"{p['recommended']['weight']:.2f}" for p in parts],
        "R2 of deviations, held-out blocks": [f"{p['recommended']['blocked_r2']:.3f}" for p in parts],
        "R2 of deviations, random 30 %": [f"{p['recommended']['random_r2']:.3f}" for p in parts],
        "R2 of levels (published), held-out blocks": [f"{p['published']['blocked_r2']:.3f}" for p in parts],
        "R2 of levels (published), random 30 %": [f"{p['published']['random_r2']:.3f}" for p in parts],
        "largest closure error as written, recommended, cm": [
            f"{p['closure']['recommended']['largest_after']:.1e}" for p in parts
        ],
        "the same, published with its spline": [
            f"{p['closure']['published, spline']['largest_after']:.2f}" for p in parts
        ],
    }
    lines += [f"| {name} | {' | '.join(values)} |" for name, values in rows.items()]
    twsa = result["twsa"]
    rows = {
        "months, of which removed and filled": f"{twsa['months']}, {twsa['missing']}",
        "cells, native mascons found": f"{twsa['cells']}, {twsa['mascons']}",
        "RMS difference of SSA from linear interpolation in removed months, cm": (
            f"{twsa['fill_rms_difference_to_linear']:.2f}"
        ),
        f"RMSE in {twsa['held_out_months']} observed months taken out, SSA, cm": f"{twsa['held_out_rmse_ssa']:.2f}",
        "the same, linear interpolation": f"{twsa['held_out_rmse_linear']:.2f}",
        "weight of the predicted detail": f"{twsa['weight']:.2f}",
        "R2 of deviations, held-out groups of mascons": f"{twsa['blocked_r2']:.3f}",
        "largest closure error on mascons as written, cm": f"{twsa['largest_mascon_difference']:.1e}",
        "mean slope, cm a year": f"{twsa['mean_slope_cm_per_year']:.2f}",
    }
    lines += ["", "| TWSA | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    return "\n".join(lines)
