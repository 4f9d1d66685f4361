// Another addon of the process that works with the NPUs, too: for tests of memory that is shared.
#pragma once

#include <cstddef>
#include <cstdint>

namespace latte::twin {

/// Memory of a device that is being filled on a stream of one's own, and the event behind that.
struct Foreign {
  void* memory = nullptr;
  void* event = nullptr;
  void* pinned = nullptr;
  int device = 0;
};

/// Fills it late. A `memory` that is null could not be had.
Foreign fill_foreign(int device, const void* bytes, size_t count);
/// Copies from any memory of a device; false where that failed.
bool read_device(int device, const void* memory, void* bytes, size_t count);
void free_foreign(const Foreign& foreign);
/// Gives back streams and contexts.
void close_foreign();

}  // namespace latte::twin
