"""OpenSSL's digests: a context that is made and freed, and a length that comes back."""

import ctypes
from pathlib import Path

from membrane import guard_library

declarations = Path(__file__).with_name("digest.toml")
crypto = guard_library(ctypes.CDLL("libcrypto.so.3"), declarations)
made, digest, length = crypto.EVP_MD_CTX_new(), bytearray(32), ctypes.c_uint()
assert crypto.EVP_DigestInit_ex(made, crypto.EVP_sha256(), None) == 1
assert crypto.EVP_DigestUpdate(made, b"hello", 5) == 1
assert crypto.EVP_DigestFinal_ex(made, digest, length) == 1
crypto.EVP_MD_CTX_free(made)
print(digest[: length.value].hex())
