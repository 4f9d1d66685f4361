// Which device memory of a work has a copy on the host, and what of it was copied to the device.
#pragma once

#include <map>
#include <vector>

#include "core/tensor_view.h"

namespace latte::ascend {

/// The inputs of a work, and what was computed from one on the host. An upload is copied only if an
/// operation reads it: a value that is converted on the host first is never copied as it came. The
/// class knows addresses alone and copies nothing itself. Uploads never overlap.
class Uploads {
 public:
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

  /// Notes that `to`, device memory, shall have the elements at `host`. No earlier upload may
  /// overlap it. A tensor of no elements is ignored.
  void add(const TensorView& to, const void* host);
  /// The upload that ends where `to` begins, has its dtype and was not copied yet; null: none. The
  /// pointer is valid until the next call of another member function.
  const Upload* before(const TensorView& to) const;
  /// An operation is going to read this memory. Returns the uploads in it that were not copied yet,
  /// in ascending order of addresses; from now on they count as copied.
  std::vector<Upload> read(const void* address, size_t bytes);
  /// An operation is going to write this memory. Returns what read() returns, because the write may
  /// leave gaps; host copies of all uploads in it are forgotten.
  std::vector<Upload> overwrite(const void* address, size_t bytes);
  /// The host's copy of device memory; null if one upload does not cover all of it.
  const void* host_copy(const void* address, size_t bytes) const;

 private:
  struct Entry {
    Upload upload;
    bool copied = false;
  };
  using Entries = std::map<const char*, Entry>;

  /// The first upload that ends behind `address`.
  Entries::iterator first_behind(const char* address);

  Entries entries_;  // by device address
};

}  // namespace latte::ascend
