// Stands for another API of the process that uses the NPUs, too. For tests of fromDevicePointer().
#pragma once

#include <cstddef>
#include <cstdint>

namespace latte::twin {

/// Device memory that the other API's stream is filling, and the event that it records after that.
struct Foreign {
  void* memory = nullptr;
  void* event = nullptr;
  void* pinned = nullptr;
  int device = 0;
};

/// Allocates memory and fills it with a delay. `memory` is null if there is none.
Foreign fill_foreign(int device, const void* bytes, size_t count);
/// Copies device memory to the host; returns false if that fails.
bool read_device(int device, const void* memory, void* bytes, size_t count);
void free_foreign(const Foreign& foreign);
/// Destroys the streams and contexts of the other API.
void close_foreign();

}  // namespace latte::twin
