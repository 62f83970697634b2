"""Draws bar charts that are similar to ChartQA's PNGs: flat areas, thin lines and text."""

import random

from PIL import Image, ImageDraw, ImageFont

COLOURS = ["#2f7ed8", "#0d233a", "#8bbc21", "#910000", "#1aadce", "#f28f43", "#77a1e5"]
WORDS = [
    "share",
    "of",
    "adults",
    "who",
    "say",
    "that",
    "prices",
    "wages",
    "sales",
    "in",
    "rose",
    "fell",
]
INK = "#444444"


def draw_chart(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Draws an RGB chart of `size` (width, height) pixels, which depends only on `rng`'s state."""
    width, height = size
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    small, large = ImageFont.load_default(12), ImageFont.load_default(20)
    left, top, right, bottom = 70, 70, width - 150, height - 70
    draw.text((left, 16), " ".join(rng.choices(WORDS, k=7)).capitalize(), INK, large)
    draw.text((left, 44), " ".join(rng.choices(WORDS, k=10)).capitalize(), INK, small)
    draw.text((left, height - 24), f"Source: {' '.join(rng.choices(WORDS, k=6))}", INK, small)

    for tick in range(0, 101, 20):
        y = bottom - (bottom - top) * tick / 100
        draw.line((left, y, right, y), "#d8d8d8")
        draw.text((left - 34, y - 8), f"{tick}%", INK, small)

    groups, series = rng.randint(4, 9), rng.randint(1, 4)
    step = (right - left) / groups
    bar = step * 0.8 / series
    for group in range(groups):
        x = left + step * (group + 0.1)
        draw.text((x, bottom + 8), str(2010 + group), INK, small)
        for number in range(series):
            value = rng.uniform(5, 95)
            y = bottom - (bottom - top) * value / 100
            draw.rectangle((x, y, x + bar - 2, bottom), COLOURS[number])
            draw.text((x, y - 16), f"{value:.1f}", INK, small)
            x += bar

    for number in range(series):
        y = top + 24 * number
        draw.rectangle((right + 16, y, right + 28, y + 12), COLOURS[number])
        draw.text((right + 34, y), rng.choice(WORDS).capitalize(), INK, small)
    return image
