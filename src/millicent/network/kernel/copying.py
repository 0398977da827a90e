"""Copies short runs of bytes as a block: byte by byte it would be four times slower."""

from typing import Any

import numba
from numba.core import cgutils, types
from numba.extending import intrinsic

from millicent.kit.kernels import UInt8s

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

    def copy_bytes(out: UInt8s, at: int, buffer: UInt8s, start: int, length: int) -> None:
        """`out[at : at + length] = buffer[start : start + length]`; the caller has checked both bounds."""
        out[at : at + length] = buffer[start : start + length]

else:

    @intrinsic
    def copy_bytes(typing: Any, out: Any, at: Any, buffer: Any, start: Any, length: Any) -> Any:
        """The same as LLVM's memcpy. Both arrays are contiguous bytes."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            target = context.make_array(signature.args[0])(context, builder, arguments[0])
            source = context.make_array(signature.args[2])(context, builder, arguments[2])
            to = builder.gep(target.data, [context.cast(builder, arguments[1], signature.args[1], types.intp)])
            of = builder.gep(source.data, [context.cast(builder, arguments[3], signature.args[3], types.intp)])
            count = context.cast(builder, arguments[4], signature.args[4], types.intp)
            cgutils.raw_memcpy(builder, to, of, count, 1)  # type: ignore[no-untyped-call]
            return context.get_dummy_value()

        return types.void(out, at, buffer, start, length), generate
