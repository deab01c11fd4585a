"""Equality of Arrow arrays to the bit: NaN payloads and the sign of zero count, the layout of buffers does not."""

import pyarrow as pa
import pyarrow.compute as pc

import report

types = pa.types


def same_array(left: pa.Array, right: pa.Array, where: str) -> None:
    report.equal(left.type, right.type, f"type of {where}")
    report.equal(len(left), len(right), f"length of {where}")
    kind = left.type
    if isinstance(kind, pa.BaseExtensionType):
        same_array(left.storage, right.storage, where)
    elif types.is_dictionary(kind):
        same_array(left.dictionary_decode(), right.dictionary_decode(), where)
    elif types.is_run_end_encoded(kind):
        same_array(pc.run_end_decode(left), pc.run_end_decode(right), where)
    elif types.is_union(kind):
        # Not `type_codes`: that ignores the offset of a slice.
        report.equal([item.type_code for item in left], [item.type_code for item in right], f"type codes of {where}")
        report.equal(left.to_pylist(), right.to_pylist(), where)
    else:
        report.true(left.is_null().equals(right.is_null()), f"nulls of {where}")
        if types.is_floating(kind):
            raw = {16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}[kind.bit_width]
            report.true(left.view(raw).drop_null().equals(right.view(raw).drop_null()), f"bits of {where}")
        elif types.is_struct(kind):
            for index, field in enumerate(kind):
                same_array(left.flatten()[index], right.flatten()[index], f"{where}.{field.name}")
        elif types.is_map(kind):
            report.equal(left.to_pylist(), right.to_pylist(), where)
        elif types.is_fixed_size_list(kind):
            same_array(left.flatten(), right.flatten(), f"{where}[]")
        elif types.is_nested(kind):
            report.true(pc.list_value_length(left).equals(pc.list_value_length(right)), f"lengths of {where}")
            same_array(left.flatten(), right.flatten(), f"{where}[]")
        else:
            report.true(left.equals(right), f"{where}: expected {right}, got {left}" if not left.equals(right) else "")
