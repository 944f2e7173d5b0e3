"""Files of layers as a tree of folders: small, and a folder is deleted with all that is in it."""

from collections.abc import Callable, Iterator
from typing import Union

#: name -> bytes of a file, or what is in a folder
Folder = dict[str, Union[int, "Folder"]]
Forget = Callable[[str], None]


class Tree:
    """Paths have no leading slash. A file's bytes are those of all its versions since it was deleted last."""

    def __init__(self, root: Folder | None = None) -> None:
        self.root: Folder = {} if root is None else root
        #: the folder that was added to last: files of one folder come one after another
        self._last, self._node = "", self.root

    def add(self, folder: str, name: str, size: int) -> None:
        """A file; added again, its bytes come to those that are there."""
        if folder != self._last:
            self._last, self._node = folder, self._made(folder)
        node = self._node
        before = node.get(name, 0)
        if isinstance(before, int):
            node[name] = size + before
        else:
            node[name] = size
            self._last, self._node = "", self.root  # the folder that was added to last may have been in this one

    def _made(self, folder: str) -> Folder:
        node = self.root
        for part in folder.split("/") if folder else ():
            below = node.get(part)
            if not isinstance(below, dict):
                below = node[part] = {}
            node = below
        return node

    def has(self, path: str) -> bool:
        return self._find(path) is not None

    def remove(self, path: str, forget: Forget) -> int:
        """A file, or a folder with all that is in it: bytes that were there. `forget` is told of every file."""
        folder, _, name = path.rpartition("/")
        parent = self._find(folder) if folder else self.root
        if not isinstance(parent, dict) or name not in parent:
            return 0
        return _total(path, parent.pop(name), forget)

    def empty(self, folder: str, forget: Forget) -> list[tuple[str, int]]:
        """What was in a folder, with its bytes."""
        node = self._find(folder) if folder else self.root
        if not isinstance(node, dict):
            return []
        found = [(f"{folder}/{name}" if folder else name, name) for name in node]
        return [(path, _total(path, node.pop(name), forget)) for path, name in found]

    def merge(self, above: "Tree", forget: Forget) -> None:
        """Put the files of a layer on top; `forget` is told of every file that this hides."""
        todo: list[tuple[str, Folder, Folder]] = [("", self.root, above.root)]
        while todo:
            prefix, below, upper = todo.pop()
            for name, new in upper.items():
                path = prefix + name
                old = below.get(name)
                if isinstance(old, dict) and isinstance(new, dict):
                    todo.append((f"{path}/", old, new))
                    continue
                if old is not None:
                    _total(path, old, forget)
                if isinstance(old, int) and isinstance(new, int):
                    new += old
                below[name] = new

    def _find(self, path: str) -> int | Folder | None:
        node: int | Folder | None = self.root
        for name in path.split("/"):
            if not isinstance(node, dict):
                return None
            node = node.get(name)
        return node


def _total(path: str, node: int | Folder, forget: Forget) -> int:
    total = 0
    for file, size in _files(path, node):
        total += size
        forget(file)
    return total


def _files(path: str, node: int | Folder) -> Iterator[tuple[str, int]]:
    todo = [(path, node)]
    while todo:
        place, found = todo.pop()
        if isinstance(found, int):
            yield place, found
        else:
            todo.extend((f"{place}/{name}", below) for name, below in found.items())
