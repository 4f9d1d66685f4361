// Which device memory of a work has a copy on the host, and which of these copies have already been
// copied to the device.
#pragma once

#include <map>
#include <vector>

#include "core/tensor_view.h"

namespace latte::ascend {

/// The host inputs of a work, and what the host computed from them. An upload is copied to the
/// device only when an operation reads it: an input that the host converts first is never copied
/// itself. This class only keeps addresses; AscendQueue copies. Uploads never overlap.
class Uploads {
 public:
  /// Device memory that is to have the elements at `host`.
  struct Upload {
    void* device;
    const void* host;
    DType dtype;
    size_t bytes;

    /// The device memory as a flat tensor.
    TensorView tensor() const {
      return {{dtype, {static_cast<int64_t>(bytes / item_size(dtype))}}, device};
    }
  };

  /// Notes that `to`, in device memory, is to have the elements at `host`. No earlier upload may
  /// overlap it. A tensor without elements is ignored.
  void add(const TensorView& to, const void* host);
  /// The upload that ends where `to` begins, has its dtype and was not copied yet; null if there is
  /// none. The pointer is valid until the next call that is not const.
  const Upload* before(const TensorView& to) const;
  /// An operation is going to read this memory. Returns the uploads in it that were not copied yet,
  /// in ascending order of addresses; from now on they count as copied.
  std::vector<Upload> read(const void* address, size_t bytes);
  /// An operation is going to write this memory. Returns what read() returns, because the operation
  /// may not write all of it, and forgets the host copies of all uploads in it.
  std::vector<Upload> overwrite(const void* address, size_t bytes);
  /// The host's copy of device memory; null if no single upload covers all of it.
  const void* host_copy(const void* address, size_t bytes) const;

 private:
  struct Entry {
    Upload upload;
    bool copied = false;
  };
  using Entries = std::map<const char*, Entry>;

  /// The first upload that ends after `address`.
  Entries::iterator first_behind(const char* address);

  Entries entries_;  // by device address
};

}  // namespace latte::ascend
