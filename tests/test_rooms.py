"""The rooms of the package and the one direction in which they import each other."""

import ast
import pathlib

import crass_tf

PACKAGE = pathlib.Path(crass_tf.__file__).parent
# Each room imports only from those before it.
EARLY = ("common", "radiographs", "geometry", "sources", "tfds_builder", "phantom", "data", "measurement", "reporting")
LATE = ("model", "training", "inference", "check", "evaluation", "export", "prediction", "beam", "commands", "cli")
ORDER = EARLY + LATE
# The package itself offers names of all rooms, imported when they are asked for.
ALLOWED = {("crass_tf/inference/segmenter.py", "prediction")}


def imported_rooms(path):
    """Yields the rooms that a module imports from, late imports too, but none for annotations only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    ifs = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    typing = {id(part) for node in ifs for part in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in typing:
            continue
        if isinstance(node, ast.ImportFrom):
            yield from (room for name in node.names if (room := room_of(f"{node.module}.{name.name}")))
        elif isinstance(node, ast.Import):
            yield from (room for name in node.names if (room := room_of(name.name)))


def room_of(module):
    parts = module.split(".")
    if parts[0] == "tfds_builder":
        return "tfds_builder"
    return parts[1] if parts[0] == "crass_tf" and parts[1:] and parts[1] in ORDER else None


def modules():
    root = PACKAGE.parent
    for path in sorted([*PACKAGE.rglob("*.py"), *(root / "tfds_builder").rglob("*.py")]):
        room = room_of(".".join(path.relative_to(root).with_suffix("").parts))
        if room is not None:
            yield path.relative_to(root).as_posix(), room, path


def test_every_module_lies_in_a_room():
    loose = {path.name for path in PACKAGE.glob("*.py")}
    assert loose == {"__init__.py", "__main__.py", "cli.py"}
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} <= {*ORDER, "saved_models"}


def test_imports_point_one_way():
    imports = [(name, room, other) for name, room, path in modules() for other in imported_rooms(path)]
    assert {(name, other) for name, room, other in imports if ORDER.index(other) > ORDER.index(room)} <= ALLOWED
