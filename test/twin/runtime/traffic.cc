#include "runtime/traffic.h"

#include <bitset>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

#include "runtime/devices.h"
#include "runtime/memory.h"
#include "runtime/report.h"

namespace latte::twin {

namespace {

/// The bytes of what the cache moves at once: a line of 910B's L2 ("CACHELINE 512",
/// matmul_util.cpp, ops-nn e5c3fa93).
constexpr uint64_t kSector = 512;
/// How many lines it replaces at once: the twin's own choice, for speed.
constexpr size_t kSectors = 128;
constexpr uint64_t kLine = kSector * kSectors;

/// Cached lines by their number, the most recently used first. Addresses differ between devices, so
/// that one list per device is enough.
class Cache {
 public:
  void access(uint64_t address, uint64_t bytes, bool written) {
    const uint64_t end = (address + bytes + kSector - 1) / kSector;
    for (uint64_t sector = address / kSector; sector < end; ++sector) {
      Line& line = use(sector / kSectors);
      const size_t at = sector % kSectors;
      if (written) {
        line.dirty.set(at);
      } else if (!line.valid.test(at)) {
        past_ += kSector;
      }
      line.valid.set(at);
    }
  }

  int64_t past() const {
    int64_t total = past_;
    for (const auto& [number, line] : lines_) total += line.written();
    return total;
  }

  void clear() {
    lines_.clear();
    places_.clear();
    past_ = 0;
  }

 private:
  struct Line {
    std::bitset<kSectors> valid, dirty;
    int64_t written() const { return static_cast<int64_t>(dirty.count() * kSector); }
  };
  using Lines = std::list<std::pair<uint64_t, Line>>;

  Line& use(uint64_t number) {
    static const auto capacity = static_cast<size_t>(static_cast<uint64_t>(l2_bytes()) / kLine);
    if (const auto found = places_.find(number); found != places_.end()) {
      lines_.splice(lines_.begin(), lines_, found->second);
      return lines_.front().second;
    }
    if (lines_.size() >= capacity) {
      past_ += lines_.back().second.written();
      places_.erase(lines_.back().first);
      lines_.pop_back();
    }
    lines_.emplace_front(number, Line{});
    places_[number] = lines_.begin();
    return lines_.front().second;
  }

  Lines lines_;
  std::unordered_map<uint64_t, Lines::iterator> places_;
  int64_t past_ = 0;
};

struct Caches {
  std::mutex mutex;
  std::unordered_map<int, Cache> of;
};

Caches& caches() {
  static auto* all = new Caches;
  return *all;
}

}  // namespace

int64_t l2_bytes() {
  return environment_number("LATTE_TWIN_L2", int64_t{is_first_generation() ? 32 : 192} << 20);
}

void count_kernel(const char* name) {
  count("kernels");
  count(std::string("kernel ") + name);
}

void move_bytes(int device, const void* address, uint64_t bytes, uint64_t rows, uint64_t stride,
                bool written) {
  if (bytes == 0 || rows == 0) return;
  count("bytes moved", static_cast<int64_t>(bytes * rows));
  const std::lock_guard lock(caches().mutex);
  Cache& cache = caches().of[device];
  for (uint64_t row = 0; row < rows; ++row) {
    cache.access(reinterpret_cast<uint64_t>(address) + row * stride, bytes, written);
  }
}

int64_t bytes_past_l2(bool reset) {
  const std::lock_guard lock(caches().mutex);
  int64_t total = 0;
  for (auto& [device, cache] : caches().of) {
    total += cache.past();
    if (reset) cache.clear();
  }
  return total;
}

}  // namespace latte::twin

extern "C" TWIN_EXPORT void latte_twin_moved(int device, const void* address, size_t bytes,
                                             size_t rows, size_t stride, int written) {
  latte::twin::move_bytes(device, address, bytes, rows, stride, written != 0);
}
