"""What can be wrong with a dataset: a closed list, each kind with what happens and its cure.

Every kind was seen with LLaMA-Factory 0.9.5 itself: tests/llamafactory/test_check.py shows each.
"""

from __future__ import annotations

from enum import Enum


class Severity(str, Enum):
    """What a violation costs, the worst first."""

    FAILS = "fails the job"
    DROPS = "row is dropped silently"
    DEGRADED = "degraded"


class Kind(str, Enum):
    """Every way to break the contract. The value is what ``--json`` says.

    Attributes:
        severity: What it costs.
        happens: A sentence that says what LLaMA-Factory does.
        cure: A sentence that says what to do about it.
    """

    severity: Severity
    happens: str
    cure: str

    def __new__(
        cls,
        value: str,
        severity: Severity = Severity.FAILS,
        happens: str = "",
        cure: str = "",
    ) -> Kind:
        member = str.__new__(cls, value)
        member._value_ = value
        member.severity = severity
        member.happens = happens
        member.cure = cure
        return member

    # The registry.
    REGISTRY_UNREADABLE = (
        "registry_unreadable",
        Severity.FAILS,
        "dataset_info.json cannot be read as a JSON object: 'Cannot open dataset_info.json'.",
        "Write it as UTF-8 JSON without a byte order mark, an object of entries.",
    )
    ENTRY_INVALID = (
        "entry_invalid",
        Severity.FAILS,
        "The entry, its columns or its tags are not objects: an AttributeError or TypeError.",
        "Write columns and tags as objects, or leave them out for the defaults.",
    )
    FORMATTING_NOT_SHAREGPT = (
        "formatting_not_sharegpt",
        Severity.FAILS,
        "Without formatting the entry is read as alpaca, whose columns it does not have: every row "
        "is dropped, 'Cannot find valid samples'.",
        'Add "formatting": "sharegpt" to the entry.',
    )
    COLUMN_NOT_LISTED = (
        "column_not_listed",
        Severity.FAILS,
        "Once columns is given, a column that it does not list is absent; without messages every "
        "row is a KeyError: None.",
        "List messages, and each of images, system and tools that the rows have, in columns.",
    )
    TAG_NOT_LISTED = (
        "tag_not_listed",
        Severity.FAILS,
        "Once tags is given, a tag that it does not list is absent; without role_tag or "
        "content_tag every row is a KeyError: None, without user_tag or assistant_tag every row is "
        "dropped.",
        "List all seven tags.",
    )
    COLUMN_UNKNOWN = (
        "column_unknown",
        Severity.FAILS,
        "The entry lists a column that the rows do not have: a KeyError at the first row.",
        "Name the column as the rows do, or take it out of the entry.",
    )
    SPLIT_UNKNOWN = (
        "split_unknown",
        Severity.FAILS,
        "Local files make one split, train; any other is 'Unknown split'.",
        "Take split out of the entry and make an entry for each set of files.",
    )
    # The files.
    FILE_NOT_FOUND = (
        "file_not_found",
        Severity.FAILS,
        "file_name leads to nothing: it is joined with dataset_dir as it is, so that globs and "
        "remote addresses fail too.",
        "Name a file or a flat folder below dataset_dir; copy remote files there first.",
    )
    FOLDER_EMPTY = (
        "folder_empty",
        Severity.FAILS,
        "The folder holds no file: an IndexError.",
        "Put the data files into the folder, or name the right one.",
    )
    FOLDER_MIXED = (
        "folder_mixed",
        Severity.FAILS,
        "A folder must hold files of one type and nothing else: another type, a name without an "
        "extension (_SUCCESS, .DS_Store), .gz or a subfolder stops the job.",
        "Move everything that is not a data file out of the folder.",
    )
    FILE_TYPE_UNKNOWN = (
        "file_type_unknown",
        Severity.FAILS,
        "The file's name does not end in .json, .jsonl or .parquet, in small letters: 'Allowed "
        "file types'.",
        "Give the file the name that belongs to what it holds.",
    )
    FILE_UNREADABLE = (
        "file_unreadable",
        Severity.FAILS,
        "The file cannot be read as what its name says.",
        "Download or write the file again.",
    )
    FILE_NOT_CHECKED = (
        "file_not_checked",
        Severity.DEGRADED,
        "LLaMA-Factory may read it (it unpacks compressed files and takes rows over many lines), "
        "but check cannot tell its rows apart.",
        "Write plain JSON Lines, one row of at most 8 MiB a line.",
    )
    NO_ROWS = (
        "no_rows",
        Severity.FAILS,
        "There is no row: 'corresponds to no data', or an error while the dataset is generated.",
        "Put rows into the files, or take the entry out.",
    )
    MALFORMED_JSON = (
        "malformed_json",
        Severity.FAILS,
        "The JSON of a file is read as a whole: one broken row, or one key twice in a row of JSON "
        "Lines, is a DatasetGenerationError.",
        "Write the row (or the file) again.",
    )
    NOT_AN_OBJECT = (
        "not_an_object",
        Severity.FAILS,
        "A row that is not an object is a DatasetGenerationError.",
        "Write each row as an object of columns.",
    )
    # Types.
    TYPE_DRIFT = (
        "type_drift",
        Severity.FAILS,
        "The first rows that are read fix the type of every column; a value of another type, or a "
        "key that they do not have, is a DatasetGenerationError.",
        "Give a column one type, and all rows the same keys, in all files.",
    )
    NULL_CAST = (
        "null_cast",
        Severity.FAILS,
        "A column that is empty in the first 10 MB of the first file, or in the first 1,000 rows, "
        'gets the type null, and its first value fails: "Couldn\'t cast array to null".',
        "Mix rows with and without images, or keep them in sets of their own.",
    )
    TEXT_STRETCH = (
        "text_stretch",
        Severity.DEGRADED,
        "1,000 rows and more on end leave a column empty: it loads, but not where a preprocessing "
        "worker, or a file that is listed first, begins in them.",
        "Mix these rows with the others.",
    )
    # Turns.
    MESSAGES_INVALID = (
        "messages_invalid",
        Severity.FAILS,
        "The messages are not a list of objects: a TypeError or KeyError. A turn without a role is "
        "taken for the last tag not listed, and 'Unexpected role' where that is system_tag.",
        "Write messages as a list of turns, each with its role and its content.",
    )
    NO_TURNS = (
        "no_turns",
        Severity.DROPS,
        "A row without turns is dropped.",
        "Add its turns, or remove the row.",
    )
    ROLE_UNKNOWN = (
        "role_unknown",
        Severity.DROPS,
        "A row in which a role is none of the tags is dropped with a warning.",
        "Use the roles that tags names, or name the role in tags.",
    )
    SYSTEM_TAG_NOT_LISTED = (
        "system_tag_not_listed",
        Severity.DROPS,
        "tags is given without system_tag: a row that begins with a system turn is dropped.",
        'Add "system_tag": "system" to tags.',
    )
    ROLES_OUT_OF_ORDER = (
        "roles_out_of_order",
        Severity.DROPS,
        "Turns must alternate, user or observation first, assistant or function call second; "
        "another row is dropped with a warning.",
        "Mend the order of the turns.",
    )
    ODD_TURNS = (
        "odd_turns",
        Severity.DROPS,
        "After the system turn the number of turns must be even; another row is dropped.",
        "Add the answer or cut the question.",
    )
    BATCH_DROPPED = (
        "batch_dropped",
        Severity.FAILS,
        "Rows are prepared a thousand at a time; when every row of such a batch is dropped (the "
        "last batch may be small), the job stops.",
        "Mend or remove the rows that are dropped.",
    )
    CONTENT_NOT_TEXT = (
        "content_not_text",
        Severity.FAILS,
        "A turn's content is null or not text: an AttributeError while rows are tokenised.",
        "Write the content as text; an empty text is fine.",
    )
    SYSTEM_NOT_TEXT = (
        "system_not_text",
        Severity.FAILS,
        "The system prompt is not text: a TypeError. Null is fine.",
        "Write it as text.",
    )
    FUNCTION_CALL_INVALID = (
        "function_call_invalid",
        Severity.FAILS,
        "A function call is no JSON object with name and arguments (nor a list of those): "
        "'Invalid JSON format in function message', or a KeyError.",
        'Write it as {"name": ..., "arguments": {...}}, as text.',
    )
    TOOLS_INVALID = (
        "tools_invalid",
        Severity.FAILS,
        "The tools are no JSON list of objects, written as text: 'Invalid JSON format in tool "
        "description', or a TypeError.",
        "Write the list of tools as JSON in a text.",
    )
    # Media.
    IMAGE_COUNT = (
        "image_count",
        Severity.FAILS,
        "<image> stands in the turns (assistant turns included) more or less often than the row "
        "has images: the job stops while rows are tokenised.",
        "Give each image one <image>; spell the word another way where no image is meant.",
    )
    VIDEO_COUNT = (
        "video_count",
        Severity.FAILS,
        "<video> stands in the turns more or less often than the row has videos: the job stops.",
        "Give each video one <video>; spell the word another way where no video is meant.",
    )
    AUDIO_COUNT = (
        "audio_count",
        Severity.FAILS,
        "<audio> stands in the turns more or less often than the row has audios: the job stops.",
        "Give each audio one <audio>; spell the word another way where no audio is meant.",
    )
    IMAGE_FIELD_INVALID = (
        "image_field_invalid",
        Severity.FAILS,
        "An image is neither a path nor bytes nor a struct of them (null, a number, a list).",
        "Write images as a list of paths, or of structs with bytes.",
    )
    IMAGE_STRUCT_INCOMPLETE = (
        "image_struct_incomplete",
        Severity.FAILS,
        "A struct has no bytes field (KeyError: 'bytes'), or neither bytes nor a path.",
        "Write both fields, bytes and path, and fill one.",
    )
    IMAGE_PATH_NOT_JOINED = (
        "image_path_not_joined",
        Severity.FAILS,
        "A path inside a struct is not joined with media_dir: it is looked for in the folder in "
        "which the job was started.",
        "Write the bytes into the struct, or list plain paths.",
    )
    IMAGE_MISSING = (
        "image_missing",
        Severity.FAILS,
        "The image is not below media_dir: a FileNotFoundError while rows are tokenised.",
        "Add the file, or name the folder that has it as media_dir.",
    )
    IMAGE_UNDECODABLE = (
        "image_undecodable",
        Severity.FAILS,
        "The image cannot be decoded to its end, or is over 178 megapixels: the job stops.",
        "Replace or scale down the image, or remove the rows that name it.",
    )
    IMAGE_TOO_THIN = (
        "image_too_thin",
        Severity.FAILS,
        "Scaled to image_max_pixels one side becomes 0: 'height and width must be > 0'.",
        "Crop the image.",
    )
    IMAGE_HUGE = (
        "image_huge",
        Severity.DEGRADED,
        "Over 64 MiB or 67 megapixels: it is decoded whole in memory each time it is used, and "
        "check has not decoded it.",
        "Scale it down once, before training.",
    )
    IMAGE_FEATURE = (
        "image_feature",
        Severity.DEGRADED,
        "The Parquet file carries Hugging Face's Image feature: every image is decoded and written "
        "again into the cache while rows are converted.",
        "Write the column as a plain struct of bytes and path.",
    )
    # Lengths.
    IMAGE_TOKENS_CUT = (
        "image_tokens_cut",
        Severity.FAILS,
        "cutoff_len cuts into the tokens of an image: 'Image features and image tokens do not "
        "match' at the training step that meets the row.",
        "Raise cutoff_len, lower image_max_pixels, or remove the row.",
    )
    ROW_CUT = (
        "row_cut",
        Severity.DEGRADED,
        "The row is longer than cutoff_len, and is cut without a word; where that meets an image, "
        "the training step fails.",
        "Raise cutoff_len, or shorten the row.",
    )
