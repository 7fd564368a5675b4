"""OpenSSL's digests: a context that is made and freed, and a length that comes back."""

import ctypes
from ctypes import c_int, c_size_t, c_uint, c_void_p

from membrane import guard_library
from membrane.declarations import Function, In, InOut, Out, bytecount, resource

context = resource("EVP_MD_CTX")
declarations = {
    "EVP_MD_CTX_new": Function(returns=resource("EVP_MD_CTX", begins=True)),
    "EVP_MD_CTX_free": Function(ctx=resource("EVP_MD_CTX", nullable=True, ends=True)),
    "EVP_sha256": Function(returns=c_void_p),
    "EVP_DigestInit_ex": Function(ctx=context, type=c_void_p, engine=c_void_p, returns=c_int),
    "EVP_DigestUpdate": Function(ctx=context, d=In(bytecount("n")), n=c_size_t, returns=c_int),
    "EVP_DigestFinal_ex": Function(
        ctx=context, md=Out(bytecount(32), written="*s"), s=InOut(c_uint), returns=c_int
    ),
}


def main():
    """Hash some text."""
    crypto = guard_library(ctypes.CDLL("libcrypto.so.3"), declarations)
    made, digest, length = crypto.EVP_MD_CTX_new(), bytearray(32), c_uint()
    assert crypto.EVP_DigestInit_ex(made, crypto.EVP_sha256(), None) == 1
    assert crypto.EVP_DigestUpdate(made, b"hello", 5) == 1
    assert crypto.EVP_DigestFinal_ex(made, digest, length) == 1
    crypto.EVP_MD_CTX_free(made)
    print(digest[: length.value].hex())
    return crypto


if __name__ == "__main__":
    main()
