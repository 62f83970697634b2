"""The words of the sample: the system prompt, and tasks that need no picture."""

from __future__ import annotations

import random

from beam_mat.sample.subjects import Task, Working

SYSTEM_PROMPT = """\
You are a careful assistant who solves tasks by writing short Python programs that call tools.
You work in steps. In each step you write a 'Thought:' that says what you know and what you \
still need, and then a 'Code:' block of simple Python. Whatever the code prints comes back to you \
as an 'Observation:', and you may use it in the next step. Variables keep their values from one \
step to the next. End with the tool `final_answer`.

Here is one example.

---
Task: "What is the area in square metres of a garden that is 12 m long and 7.5 m wide?"

Thought: I multiply length and width with Python and then give the answer.

Code:
```py
area = 12 * 7.5
print(area)
```
[OUTPUT OF STEP 0] Observation:
90.0

Thought: The area is 90 square metres.

Code:
```py
final_answer("90 square metres")
```
---

These tools are available as Python functions:

- image_qa(question: str, image_path: str) -> str: answers a question about one picture.
- objectlocation(object: str, image_path: str) -> list[list[int]]: the boxes of all objects of \
that name, each as [left, top, right, bottom] in pixels.
- read_text(image_path: str) -> str: the text that is written in a picture, line by line.
- search(query: str) -> str: a summary of the best pages that a web search finds.
- open_page(address: str) -> str: the text of one web page.
- inspect_file(question: str, file_path: str) -> str: answers a question about a document or table.
- image_edit(prompt: str, image_path: str) -> str: changes a picture, returns the new path.
- final_answer(answer) -> None: ends the task.

Rules:
1. Write a 'Thought:' and one 'Code:' block in every step, and close the block.
2. Use only variables that you have defined, and name no variable like a tool.
3. Call a tool with its arguments directly, not with a dictionary of them.
4. Print what you need later; what is not printed is lost.
5. Do not call a tool twice with the same arguments.
6. Save files under '.cache' only.
7. Answer in the unit and the form that the task asks for.

Take your time, and check a number before you give it."""

_CITIES = ("Zürich", "Málaga", "Kraków", "Göteborg", "Porto", "Århus", "Besançon")
_SIGHTS = ("the City Museum", "the Botanical Garden", "the Old Observatory", "the Glass House")
_WORDS = {
    "thank you": ("ありがとう", "Japanese"),
    "good morning": ("καλημέρα", "Greek"),
    "bread": ("хлеб", "Russian"),
    "water": ("물", "Korean"),
    "friend": ("přítel", "Czech"),
}


def _paint(rng: random.Random) -> Task:
    length, width, height = rng.randint(3, 8), rng.randint(3, 6), rng.choice((2.4, 2.5, 2.7))
    area = round(2 * (length + width) * height, 1)
    working = Working(
        "The walls have the area of the floor's outline times the height.",
        f"area = 2 * ({length} + {width}) * {height}\nprint(round(area, 1))",
        str(area),
    )
    question = (
        f"A room is {length} m long, {width} m wide and {height} m high. "
        "How many square metres of wall are there to paint, doors and windows included?"
    )
    return Task(question, "", f"{area} m²", (working,))


def _journey(rng: random.Random) -> Task:
    far, use, price = rng.randint(8, 90) * 10, rng.randint(45, 80) / 10, rng.randint(150, 195) / 100
    litres = round(far * use / 100, 1)
    cost = f"{litres * price:.2f}"
    workings = (
        Working(
            "First the litres: distance times consumption over a hundred.",
            f"litres = round({far} * {use} / 100, 1)\nprint(litres)",
            str(litres),
        ),
        Working(
            "Now the cost: litres times the price of one.",
            f'print(f"{{litres * {price}:.2f}}")',
            cost,
        ),
    )
    question = (
        f"I drive {far} km to {rng.choice(_CITIES)}. My car uses {use} litres in 100 km and a "
        f"litre costs €{price}. What do I pay for fuel?"
    )
    return Task(question, "", f"€{cost}", workings)


def _savings(rng: random.Random) -> Task:
    start, rate, years = rng.randint(5, 50) * 100, rng.randint(1, 5), rng.randint(3, 12)
    end = f"{start * (1 + rate / 100) ** years:.2f}"
    working = Working(
        "Interest is added once a year, so this is a power.",
        f'print(f"{{{start} * (1 + {rate} / 100) ** {years}:.2f}}")',
        end,
    )
    question = f"I save £{start} at {rate} % a year. How much is it after {years} years?"
    return Task(question, "", f"£{end}", (working,))


def _recipe(rng: random.Random) -> Task:
    eaters, flour, milk = rng.choice((6, 8, 10, 12)), rng.randint(4, 8) * 50, rng.randint(4, 9) * 50
    more = {"flour in g": flour * eaters // 4, "milk in ml": milk * eaters // 4}
    working = Working(
        "Every amount grows by the same factor.",
        f"factor = {eaters} / 4\n"
        f'print({{"flour in g": round({flour} * factor), "milk in ml": round({milk} * factor)}})',
        str(more),
    )
    question = (
        f"A crêpe recipe for 4 people takes {flour} g of flour and {milk} ml of milk. "
        f"What do I need for {eaters} people?"
    )
    return Task(question, "", str(more), (working,))


def _opening(rng: random.Random) -> Task:
    sight, city = rng.choice(_SIGHTS), rng.choice(_CITIES)
    opens, closes = rng.randint(8, 11), rng.randint(16, 20)
    seen = (
        f"{sight[0].upper()}{sight[1:]} in {city} is open from {opens}:00 to {closes}:00 every day "
        "but Monday; the last admission is one hour before closing time."
    )
    question = f"At what time at the latest must I be at {sight} in {city} on a Sunday?"
    return Task(question, seen, f"At {closes - 1}:00")


def _word(rng: random.Random) -> Task:
    english = rng.choice(sorted(_WORDS))
    foreign, language = _WORDS[english]
    seen = f'A {language} dictionary gives "{foreign}" for "{english}".'
    working = Working(
        "I count the characters of the word.", f'print(len("{foreign}"))', str(len(foreign))
    )
    question = f'What is "{english}" in {language}, and how many characters does the word have?'
    return Task(question, seen, f"{foreign}, {len(foreign)} characters", (working,))


def text_task(rng: random.Random) -> Task:
    """A task without a picture; `seen` is what a search finds, empty where none is needed."""
    return rng.choice((_paint, _journey, _savings, _recipe, _opening, _word))(rng)
