#include "backend/ascend/uploads.h"

namespace latte::ascend {

namespace {

const char* begin_of(const void* address) { return static_cast<const char*>(address); }

}  // namespace

void Uploads::add(const TensorView& to, const void* host) {
  if (to.bytes() == 0) return;
  entries_[begin_of(to.data)] = {{to.data, host, to.dtype, to.bytes()}};
}

const Uploads::Upload* Uploads::before(const TensorView& to) const {
  const auto behind = entries_.lower_bound(begin_of(to.data));
  if (behind == entries_.begin()) return nullptr;
  const auto& [begin, entry] = *std::prev(behind);
  const bool adjoins = begin + entry.upload.bytes == begin_of(to.data);
  return adjoins && !entry.copied && entry.upload.dtype == to.dtype ? &entry.upload : nullptr;
}

Uploads::Entries::iterator Uploads::first_behind(const char* address) {
  const auto next = entries_.upper_bound(address);
  if (next == entries_.begin()) return next;
  const auto previous = std::prev(next);
  return previous->first + previous->second.upload.bytes > address ? previous : next;
}

std::vector<Uploads::Upload> Uploads::read(const void* address, size_t bytes) {
  std::vector<Upload> pending;
  if (bytes == 0) return pending;
  const char* end = begin_of(address) + bytes;
  for (auto next = first_behind(begin_of(address)); next != entries_.end() && next->first < end;
       ++next) {
    if (!next->second.copied) pending.push_back(next->second.upload);
    next->second.copied = true;
  }
  return pending;
}

std::vector<Uploads::Upload> Uploads::overwrite(const void* address, size_t bytes) {
  std::vector<Upload> pending = read(address, bytes);
  if (bytes > 0) {
    const auto end = entries_.lower_bound(begin_of(address) + bytes);
    entries_.erase(first_behind(begin_of(address)), end);
  }
  return pending;
}

const void* Uploads::host_copy(const void* address, size_t bytes) const {
  const char* begin = begin_of(address);
  const auto behind = entries_.upper_bound(begin);
  if (behind == entries_.begin()) return nullptr;
  const auto& [device, entry] = *std::prev(behind);
  if (begin + bytes > device + entry.upload.bytes) return nullptr;
  return begin_of(entry.upload.host) + (begin - device);
}

}  // namespace latte::ascend
