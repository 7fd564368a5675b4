"""Telling Python, from the destructor of a capsule, that something was lost."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from runtime_math.numerics.builtins.emission import OBJECT, Emitter


@intrinsic
def tell(typing_context, function, number):
    """Call a function of Python with a number, whatever exception is on its way."""

    def emit(context, builder, signature, arguments):
        function, number = arguments
        emitter, nothing = Emitter(builder), ir.VoidType()
        function = builder.inttoptr(function, OBJECT)
        # An exception that is on its way stays that.
        raised = [cgutils.alloca_once(builder, OBJECT) for _ in range(3)]
        emitter.call("PyErr_Fetch", nothing, *raised)
        boxed = emitter.call("PyLong_FromUnsignedLongLong", OBJECT, number)
        told = emitter.call("PyObject_CallOneArg", OBJECT, function, boxed)
        with builder.if_then(cgutils.is_null(builder, told)):
            emitter.call("PyErr_WriteUnraisable", nothing, function)
        emitter.call("Py_DecRef", nothing, told)
        emitter.call("Py_DecRef", nothing, boxed)
        emitter.call("PyErr_Restore", nothing, *(builder.load(each) for each in raised))
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64), emit
