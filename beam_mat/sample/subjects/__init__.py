"""What the pictures of the sample show; each subject knows a task and its right answer."""

from beam_mat.sample.subjects.charts import chart
from beam_mat.sample.subjects.landmark import landmark
from beam_mat.sample.subjects.landscape import landscape
from beam_mat.sample.subjects.menu import menu
from beam_mat.sample.subjects.people import portrait
from beam_mat.sample.subjects.road_sign import road_sign
from beam_mat.sample.subjects.skyline import skyline
from beam_mat.sample.subjects.still_life import still_life
from beam_mat.sample.subjects.subject import Subject, Task, Working

__all__ = [
    "Subject",
    "Task",
    "Working",
    "chart",
    "landmark",
    "landscape",
    "menu",
    "portrait",
    "road_sign",
    "skyline",
    "still_life",
]
