"""What the pictures of the sample show; each subject knows a task and its right answer."""

from .charts import chart
from .landmark import landmark
from .landscape import landscape
from .menu import menu
from .people import portrait
from .road_sign import road_sign
from .skyline import skyline
from .still_life import still_life
from .subject import Subject, Task, Working

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
