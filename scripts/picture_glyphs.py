"""Small drawings of what steps take and give, for the schemes in their help: maps, series, tables, pages.

All maps show one field, so that a coarse map is the block means of the fine one beside it. Each glyph is SVG in a box of
`WIDTH` by `HEIGHT`, without any text.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, exp, pi, sin

WIDTH, HEIGHT = 72, 48
COLUMNS, ROWS = 18, 12  # fine cells of a map
CELL = WIDTH / COLUMNS
BLOCK = 6  # fine cells along a coarse cell
BLUE, RED, GREEN, BROWN, DARK = "#2166ac", "#b2182b", "#1b7837", "#8c510a", "#404040"
DIVERGING = ("#b2182b", "#ef8a62", "#fddbc7", "#f7f7f7", "#d1e5f0", "#67a9cf", "#2166ac")
SEQUENTIAL = ("#ffffcc", "#c7e9b4", "#7fcdbb", "#41b6c4", "#2c7fb8", "#253494")
PURPLES = ("#54278f", "#807dba", "#bcbddc", "#efedf5")
ORANGES = ("#fff5eb", "#fdd0a2", "#fd8d3c", "#d94801")
CLASSES = ("#4393c3", "#4ac16d", "#bf812d", "#92c5de")
SEASONS = ("#1b7837", "#7fbf7b", "#d9f0d3", "#fdae61", "#d7191c")


def field(column: float, row: float) -> float:
    """Storage anomaly, about -1 to 1: gentle waves, and a depleted zone with an edge."""
    x, y = column / COLUMNS, row / ROWS
    wave = 0.45 * sin(2 * pi * (x + 0.3 * y)) + 0.25 * cos(7 * x - 5 * y) + 0.12 * sin(19 * x + 13 * y)
    return wave - 1.4 * exp(-(((x - 0.68) / 0.16) ** 2) - ((y - 0.6) / 0.22) ** 2)


def lake(column: float, row: float) -> bool:
    """Whether a cell lies in the water that masks leave out."""
    return ((column - 4.5) / 3) ** 2 + ((row - 4) / 2.2) ** 2 < 1


def ice(column: float, row: float) -> bool:
    """Whether a cell lies under ice."""
    return row < 3 and column > 11 + row


def region(column: int, row: int) -> int:
    """Number of the aquifer class of a cell."""
    return (column + row > 16) + 2 * (row > 4 + 0.3 * column)


def ramp(colours: tuple[str, ...], value: float, low: float = -1, high: float = 1) -> str:
    """Colour of a value."""
    place = int((value - low) / (high - low) * len(colours))
    return colours[min(max(place, 0), len(colours) - 1)]


def frame(colour: str = DARK) -> str:
    """Edge of a map."""
    return f'<path d="M0 0h{WIDTH}v{HEIGHT}H0z" fill="none" stroke="{colour}"/>'


def cells(colour_of: Callable[[int, int], str]) -> str:
    """Fine cells, neighbours of one colour in a row joined; an empty colour leaves the cell out."""
    parts: dict[str, list[str]] = {}
    for row in range(ROWS):
        start, colours = 0, [colour_of(column, row) for column in range(COLUMNS)]
        for column in range(1, COLUMNS + 1):
            if column == COLUMNS or colours[column] != colours[start]:
                path = f"M{start * CELL:g} {row * CELL:g}h{(column - start) * CELL:g}v{CELL:g}h-{(column - start) * CELL:g}z"
                parts.setdefault(colours[start], []).append(path)
                start = column
    return "".join(f'<path d="{"".join(p)}" fill="{colour}"/>' for colour, p in parts.items() if colour)


def block_mean(column: int, row: int, size: int) -> float:
    """Mean of the field over the block that holds a cell."""
    left, top = column // size * size, row // size * size
    inside = [(c, r) for c in range(left, left + size) for r in range(top, min(top + size, ROWS))]
    return sum(field(c + 0.5, r + 0.5) for c, r in inside) / len(inside)


def fine() -> str:
    """A fine map of anomalies."""
    return cells(lambda c, r: ramp(DIVERGING, field(c + 0.5, r + 0.5))) + frame()


def coarse() -> str:
    """The same in coarse cells."""
    return cells(lambda c, r: ramp(DIVERGING, block_mean(c, r, 3))) + frame()


def mascons() -> str:
    """The same in native mascons."""
    lines = "".join(f"M{k * BLOCK * CELL:g} 0v{HEIGHT}" for k in (1, 2)) + f"M0 {BLOCK * CELL:g}h{WIDTH}"
    colour = cells(lambda c, r: ramp(DIVERGING, block_mean(c, r, BLOCK)))
    return f'{colour}<path d="{lines}" stroke="{DARK}"/>' + frame()


def masked() -> str:
    """The fine map without water and ice."""
    return cells(lambda c, r: "" if lake(c, r) or ice(c, r) else ramp(DIVERGING, field(c + 0.5, r + 0.5))) + frame()


def water() -> str:
    """Land without permanent water."""
    return cells(lambda c, r: "" if lake(c, r) else "#a6dba0") + frame()


def glacier() -> str:
    """Land without ice."""
    return cells(lambda c, r: "" if ice(c, r) else "#a6dba0") + frame()


def mask() -> str:
    """Land without both."""
    return cells(lambda c, r: "" if lake(c, r) or ice(c, r) else "#1b7837") + frame()


def water_classes() -> str:
    """Classes of surface water: permanent, seasonal, none."""
    near = lambda c, r: lake(c + 1, r) or lake(c - 1, r) or lake(c, r + 1)  # noqa: E731 - a shape, used here only
    return cells(lambda c, r: "#08519c" if lake(c, r) else "#9ecae1" if near(c, r) else "#f0f0f0") + frame()


def outlines() -> str:
    """Outlines of glaciers."""
    shape = "M44 0l4 6 8-2 6 6 10 2V0z"
    return f'{cells(lambda c, r: "#f0f0f0")}<path d="{shape}" fill="#d1f0ff" stroke="{BLUE}"/>' + frame()


def aquifers() -> str:
    """Polygons of aquifer classes."""
    shapes = ("M0 0h40l-8 18L0 20z", "M40 0h32v24l-26 6-14-12z", "M0 20l32-2 14 12-8 18H0z", "M46 30l26-6v24H38z")
    drawn = "".join(f'<path d="{s}" fill="{c}" stroke="#ffffff"/>' for s, c in zip(shapes, CLASSES, strict=True))
    return drawn + frame()


def classes() -> str:
    """Aquifer classes of fine cells."""
    return cells(lambda c, r: CLASSES[region(c, r)]) + frame()


def classes_coarse() -> str:
    """Aquifer classes of coarse cells."""
    return cells(lambda c, r: CLASSES[region(c // 3 * 3 + 1, r // 3 * 3 + 1)]) + frame()


def predictors() -> str:
    """Sheets of several predictors, fine."""
    return _sheets(lambda c, r: ramp(SEQUENTIAL, field(c + 0.5, r + 3.5)))


def predictors_coarse() -> str:
    """Sheets of several predictors, coarse."""
    return _sheets(lambda c, r: ramp(SEQUENTIAL, block_mean(c, r, 3)))


def _sheets(colour_of: Callable[[int, int], str]) -> str:
    return _pile("#fee08b", "#a6dba0", cells(colour_of) + frame())


def _pile(last: str, second: str, first: str) -> str:
    """Three sheets, one before the other; of two only the colour is seen."""
    behind = f'<path d="M12 0h60v36H12z" fill="{last}"/><path d="M6 6h60v36H6z" fill="{second}"/>'
    return f'<g stroke="{DARK}">{behind}</g><g transform="translate(0 12) scale(.8 .75)">{first}</g>'


def months() -> str:
    """A stack of monthly maps."""
    return _pile("#d1e5f0", "#fddbc7", fine())


def _axes() -> str:
    return f'<path d="M4 2v42h66" stroke="{DARK}" fill="none" stroke-width="1.5"/>'


def _wave(first: int, last: int, fall: float = 0.2) -> str:
    points = [(5 + k, 20 + fall * k + 9 * sin(k / 3.2) + 2 * sin(k / 1.3)) for k in range(first, last + 1)]
    return "M" + "L".join(f"{x:g} {y:.1f}" for x, y in points)


def _line(path: str, colour: str, more: str = "") -> str:
    return f'<path d="{path}" stroke="{colour}" fill="none" stroke-width="1.6" {more}/>'


def series() -> str:
    """A series without gaps."""
    return _axes() + _line(_wave(0, 62), BLUE)


def gaps() -> str:
    """A series with a short and a long gap."""
    return _axes() + "".join(_line(_wave(*part), BLUE) for part in ((0, 12), (16, 34), (48, 62)))


def filled() -> str:
    """The same series with its gaps filled."""
    dashed = 'stroke-dasharray="3 1.500"'
    return gaps() + "".join(_line(_wave(*part), RED, dashed) for part in ((12, 16), (34, 48)))


def rising() -> str:
    """A sum that grows month by month."""
    bars = "".join(f"M{7 + 6 * k} 44v-{4 + 3.6 * k:g}h4v{4 + 3.6 * k:g}z" for k in range(10))
    return f'{_axes()}<path d="{bars}" fill="{BLUE}"/>'


def rain() -> str:
    """Monthly sums."""
    heights = (14, 20, 9, 6, 16, 24, 12, 7, 13, 21)
    bars = "".join(f"M{7 + 6 * k} 44v-{h}h4v{h}z" for k, h in enumerate(heights))
    return f'{_axes()}<path d="{bars}" fill="#92c5de"/>'


def trend_line() -> str:
    """A series with the line of its trend."""
    return _axes() + _line(_wave(0, 62), "#92c5de") + _line("M5 18L68 33", RED, 'stroke-linecap="round"')


def band() -> str:
    """A series in its interval."""
    upper = [(5 + k, 14 + 8 * sin(k / 7)) for k in range(0, 64, 3)]
    lower = [(x, y + 14) for x, y in reversed(upper)]
    path = "M" + "L".join(f"{x:g} {y:.1f}" for x, y in upper + lower) + "z"
    middle = "M" + "L".join(f"{x:g} {y + 7:.1f}" for x, y in upper)
    return f'{_axes()}<path d="{path}" fill="#d1e5f0"/>' + _line(middle, BLUE)


def slope() -> str:
    """A map of trends: losses in the depleted zone."""
    return cells(lambda c, r: ramp(DIVERGING, 1.2 * field(c + 0.5, r + 0.5) - 0.15)) + frame()


def slope_before() -> str:
    """A map of trends before the losses began."""
    return cells(lambda c, r: ramp(DIVERGING, 0.5 * field(c + 4.5, r + 8.5))) + frame()


def p_value() -> str:
    """A map of p values, dark where significant."""
    return cells(lambda c, r: ramp(PURPLES, 1.6 - 2.4 * abs(field(c + 0.5, r + 0.5)))) + frame()


def trend_classes() -> str:
    """A map of trend classes."""
    few = (DIVERGING[0], DIVERGING[2], DIVERGING[3], DIVERGING[4], DIVERGING[6])
    return cells(lambda c, r: ramp(few, 1.3 * field(c + 0.5, r + 0.5))) + frame()


def seasons() -> str:
    """A map of the seasonal share."""
    return cells(lambda c, r: ramp(SEASONS, -field(c + 0.5, r + 0.5))) + frame()


def spread() -> str:
    """A map of half-widths."""
    return cells(lambda c, r: ramp(ORANGES, field(c + 6, r + 2))) + frame()


def cell_spread() -> str:
    """A map of standard errors of mascons."""
    return cells(lambda c, r: ramp(ORANGES, block_mean(c + 6, r, BLOCK))) + frame()


def hot_spots() -> str:
    """Outlines round the depleted zone."""
    pale = cells(lambda c, r: "#d6604d" if field(c + 0.5, r + 0.5) < -0.5 else "#f7f7f7")
    return pale + frame()


def basins() -> str:
    """Polygons of basins."""
    return (
        '<path d="M6 10l14-8 16 4 4 14-10 12-14 2-8-8z" fill="#d1e5f0" stroke="#2166ac" stroke-width="1.5"/>'
        '<path d="M40 20l8-14 16 4 4 18-12 16-14 0-12-12z" fill="#fee08b" stroke="#2166ac" stroke-width="1.5"/>'
    )


def wells() -> str:
    """Wells as points on the map."""
    places = ((10, 12), (22, 34), (30, 18), (44, 28), (50, 10), (58, 36), (64, 22))
    colours = (BLUE, BLUE, RED, RED, BLUE, RED, RED)
    dots = (f'<circle cx="{x}" cy="{y}" r="4" fill="{c}"/>' for (x, y), c in zip(places, colours, strict=True))
    return '<path d="M0 0h72v48H0z" fill="#f0f0f0"/>' + "".join(dots) + frame()


def bars_index() -> str:
    """An index above and below zero."""
    heights = (8, 14, 5, -6, -12, 4, 9, -15, -19, -9)
    paths = {BLUE: "", RED: ""}
    for k, h in enumerate(heights):
        paths[BLUE if h > 0 else RED] += f"M{7 + 6 * k} 24v{-h}h4v{h}z"
    drawn = "".join(f'<path d="{p}" fill="{c}"/>' for c, p in paths.items())
    return f'<path d="M4 24h66" stroke="{DARK}"/>{drawn}'


def profile() -> str:
    """Means by latitude."""
    return f'<path d="M36 2v44M4 46h64" stroke="{DARK}"/>' + _line("M40 3c22 8-34 12-12 20s26 10-4 22", RED)


def scatter() -> str:
    """Points beside the line of equality."""
    dots = "".join(
        f'<circle cx="{8 + 6 * k}" cy="{42 - 3.6 * k + 5 * sin(5 * k):.1f}" r="2.200" fill="{BLUE}"/>'
        for k in range(10)
    )
    return _axes() + _line("M5 43L68 4", DARK, 'stroke-dasharray="2 2"') + dots


def table() -> str:
    """A table."""
    lines = "M8 14h56M8 22h56M8 30h56M8 38h56M26 4v42M45 4v42"
    head = '<path d="M8 4h56v10H8z" fill="#d1e5f0"/>'
    return f'{head}<path d="M8 4h56v42H8z{lines}" fill="none" stroke="{DARK}"/>'


def _page(inside: str) -> str:
    edge = '<path d="M18 1h28l8 8v38H18zM46 1v8h8" fill="#ffffff" stroke="#404040" stroke-width="1.300"/>'
    return edge + inside


def report() -> str:
    """A page with a chart."""
    return _page(
        f'<path d="M24 28v-8M30 28v-13M36 28v-6M42 28v-11" stroke="{BLUE}" stroke-width="3"/>'
        f'<path d="M23 9h16M23 34h25M23 38h25M23 42h18" stroke="{DARK}"/>'
    )


def file() -> str:
    """A file of grids."""
    return _page(
        f'<circle cx="36" cy="28" r="12" fill="#d1e5f0" stroke="{BLUE}"/>'
        f'<path d="M24 28h24M36 16c-6 7-6 17 0 24M36 16c6 7 6 17 0 24" fill="none" stroke="{BLUE}"/>'
    )


def files() -> str:
    """Many files, one a month."""
    return f'<g transform="translate(12 -1)">{_page("")}</g><g transform="translate(-8 1)">{file()}</g>'


def folder() -> str:
    """A folder."""
    return '<path d="M8 8h20l6 6h30v30H8z" fill="#fee08b" stroke="#404040" stroke-width="1.300"/>'


def model() -> str:
    """Trees that were learnt."""
    links = '<path d="M36 9L20 24M36 9l16 15M20 24l-8 16M20 24l8 16M52 24l-8 16M52 24l8 16" stroke="#404040"/>'
    nodes = (
        (36, 9, RED),
        (20, 24, BLUE),
        (52, 24, BLUE),
        (12, 40, GREEN),
        (28, 40, GREEN),
        (44, 40, GREEN),
        (60, 40, GREEN),
    )
    return links + "".join(f'<circle cx="{x}" cy="{y}" r="5" fill="{c}"/>' for x, y, c in nodes)


def soil() -> str:
    """Water in soil, snow and leaves."""
    return (
        '<path d="M0 22h72v9H0z" fill="#bf812d"/><path d="M0 31h72v9H0z" fill="#8c510a"/>'
        '<path d="M0 40h72v8H0z" fill="#543005"/><path d="M0 22c12-7 20 0 34-3s22-4 38 3z" fill="#4ac16d"/>'
        '<path d="M18 2c4 6 6 8 6 11a6 6 0 0 1-12 0c0-3 2-5 6-11z" fill="#2166ac"/>'
        '<path d="M52 2v14M46 5.500l12 7M46 12.500l12-7" stroke="#4393c3" stroke-width="2"/>'
    )


def background() -> str:
    """A model's natural groundwater: the field without its depleted zone."""
    return cells(lambda c, r: ramp(DIVERGING, 0.5 * sin(2 * pi * (c + 0.3 * r) / COLUMNS))) + frame()


def elevation() -> str:
    """A terrain."""
    earth = ("#1a9850", "#91cf60", "#d9ef8b", "#fee08b", "#bf812d", "#8c510a")
    return cells(lambda c, r: ramp(earth, field(r + 2, c / 1.6))) + frame()


def project() -> str:
    """A map window with its tree of layers."""
    tree = "".join(
        f'<path d="M3 {8 + 9 * k}h3v3H3zM9 {9.5 + 9 * k}h11" stroke="{DARK}" fill="{BLUE}"/>' for k in range(4)
    )
    inner = f'<g transform="translate(24 5) scale(.64 .8)">{fine()}</g>'
    return f'<path d="M0 0h72v48H0z" fill="#ffffff" stroke="{DARK}" stroke-width="1.500"/>{tree}{inner}'


def packages() -> str:
    """What an installation has and lacks."""
    rows = "".join(f"M26 {10 + 9 * k}h40" for k in range(4))
    ticks = "".join(f"M8 {10 + 9 * k}l4 4 8-8" for k in (0, 1, 3))
    return (
        f'<path d="{rows}" stroke="{DARK}" stroke-width="1.500"/><path d="{ticks}" stroke="{GREEN}" fill="none" '
        f'stroke-width="2.500"/><path d="M10 25l8 8M18 25l-8 8" stroke="{RED}" stroke-width="2.500"/>'
    )
