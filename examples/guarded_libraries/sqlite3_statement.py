"""sqlite3: connections, statements, and text that a statement keeps until it ends."""

import ctypes

from membrane import guard_library
from membrane.declarations import shipped_declarations

sqlite3 = guard_library(ctypes.CDLL("libsqlite3.so.0"), shipped_declarations("sqlite3"))
database, statement = ctypes.c_void_p(), ctypes.c_void_p()
assert sqlite3.sqlite3_open(b":memory:", database) == 0
sql = b"select upper(?1)"
assert sqlite3.sqlite3_prepare_v2(database, sql, -1, statement, None) == 0
assert sqlite3.sqlite3_bind_text(statement, 1, b"kept until then", -1, None) == 0
assert sqlite3.sqlite3_step(statement) == 100
print(ctypes.string_at(sqlite3.sqlite3_column_text(statement, 0)).decode())
assert sqlite3.sqlite3_finalize(statement) == sqlite3.sqlite3_close(database) == 0
