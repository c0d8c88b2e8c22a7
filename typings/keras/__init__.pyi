# Keras has no types. What pyright infers from its code is wrong: operations that return None, arguments of one type.
from typing import Any

def __getattr__(name: str) -> Any: ...
