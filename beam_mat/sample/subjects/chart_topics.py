"""What the charts of the sample are about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """What a chart can be about; `most` asks for the label with the highest value."""

    title: str
    unit: str
    labels: tuple[str, ...]
    most: str
    series: tuple[str, ...] = ()


BARS = (
    Topic(
        "Bicycles sold in 2023",
        "thousands",
        ("Lisbon", "Oslo", "Vienna", "Porto", "Ghent", "Turin", "Bergen"),
        "Which city sold the most bicycles?",
    ),
    Topic(
        "Books borrowed by subject",
        "thousands",
        ("History", "Poetry", "Travel", "Science", "Cookery", "Music"),
        "Books on which subject were borrowed most often?",
    ),
    Topic(
        "Rainy days in the year",
        "days",
        ("Cork", "Faro", "Bremen", "Split", "Tartu", "Basel", "Nantes"),
        "Which town had the most rainy days?",
    ),
    Topic(
        "Energy used by household device",
        "kWh a month",
        ("Fridge", "Oven", "Heating", "Lamps", "Washing", "Screens"),
        "Which device used the most energy?",
    ),
)
_YEARS = tuple(str(year) for year in range(2014, 2024))
LINES = (
    Topic(
        "Visitors to two museums",
        "thousands",
        _YEARS,
        "In which year did the {} have the most visitors?",
        ("Harbour Museum", "Railway Museum"),
    ),
    Topic(
        "Passengers by means of transport",
        "millions",
        _YEARS,
        "In which year did the {} carry the most passengers?",
        ("Tram", "Ferry"),
    ),
)
