// How many bytes kernels and copies move in device memory, and how many of these miss the L2 cache.
#pragma once

#include <cstddef>
#include <cstdint>

namespace latte::twin {

#pragma GCC visibility push(default)

/// Counts one kernel: 'kernels' and 'kernel <name>'.
void count_kernel(const char* name);

/// Bytes of the L2 cache: LATTE_TWIN_L2; by default 192 MB (Ascend 910B3), or 32 MB for the first
/// Ascend 910.
int64_t l2_bytes();

/// Counts `rows` runs of `bytes` bytes that begin `stride` bytes apart, as 'bytes moved' and, by a
/// model of the L2 cache, as 'bytes past L2'.
///
/// The cache holds l2_bytes() and moves 512 bytes at a time. It replaces what was used longest ago.
/// It writes written lines back when it replaces them, and when the counters are read. A read of
/// cached bytes is not counted. Real caches keep less, so the model is a lower bound.
void move_bytes(int device, const void* address, uint64_t bytes, uint64_t rows, uint64_t stride,
                bool written);

/// Returns the bytes past L2 so far, including what is still to be written back. Empties the caches
/// if `reset`.
int64_t bytes_past_l2(bool reset);

#pragma GCC visibility pop

}  // namespace latte::twin
