#include "backend/ascend/graphs.h"

#include <algorithm>
#include <utility>

namespace latte::ascend {

namespace {

/// The most graphs of one layer, and of a device. Each takes memory, and some of the device's few
/// hundred streams.
constexpr std::ptrdiff_t kMostOfLayer = 4;
constexpr std::ptrdiff_t kMost = 32;
/// The most parts that are remembered without a graph. Without a bound, forwards with ever new
/// sizes would fill the memory.
constexpr std::ptrdiff_t kMostRemembered = 256;
/// A graph that was replayed within so many runs is not destroyed to make room for another:
/// frequent captures would cost more than launches.
constexpr uint64_t kInUse = 64;
/// After so many failures without a successful replay in between, graphs are switched off.
constexpr int kMostFailures = 3;

}  // namespace

/// Of the entries that meet the condition, the one used longest ago; end() if there is none.
template <class Condition>
Graphs::Entries::iterator Graphs::used_longest_ago(const Condition& meets) {
  auto oldest = entries_.end();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (!meets(*entry)) continue;
    if (oldest == entries_.end() || entry->last_run < oldest->last_run) oldest = entry;
  }
  return oldest;
}

void Graphs::switch_on() {
  on_ = true;
  failures_ = 0;
}

void Graphs::switch_off(const std::string& reason) {
  on_ = false;
  const std::lock_guard lock(mutex_);
  reason_ = reason;
}

std::string Graphs::reason() const {
  const std::lock_guard lock(mutex_);
  return reason_;
}

Graphs::Entry& Graphs::visit(const std::string& key, uint64_t layer,
                             const std::vector<std::weak_ptr<const void>>& weights) {
  ++runs_;
  auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    const auto idle = used_longest_ago([](const Entry& entry) { return entry.graph == nullptr; });
    const auto count = static_cast<std::ptrdiff_t>(entries_.size());
    if (count >= kMost + kMostRemembered && idle != entries_.end()) erase(idle);
    entries_.push_front({key, layer, weights, nullptr});
    try {
      found = by_key_.emplace(key, entries_.begin()).first;
    } catch (...) {
      entries_.pop_front();
      throw;
    }
  }
  Entry& entry = *found->second;
  ++entry.runs;
  entry.last_run = runs_;
  return entry;
}

bool Graphs::may_capture(Entry& entry) {
  if (entry.refused || entry.runs < 2) return false;
  const auto is_captured = [](const Entry& other) { return other.graph != nullptr; };
  const auto of_layer = [&](const Entry& other) {
    return is_captured(other) && other.layer == entry.layer;
  };
  // Whether fewer than `most` entries meet the condition, if need be after the one used longest ago
  // was erased.
  const auto has_room = [&](const auto& condition, std::ptrdiff_t most) {
    if (std::count_if(entries_.begin(), entries_.end(), condition) < most) return true;
    const auto oldest = used_longest_ago(condition);
    if (runs_ - oldest->last_run < kInUse) return false;
    erase(oldest);
    return true;
  };
  return has_room(of_layer, kMostOfLayer) && has_room(is_captured, kMost);
}

void Graphs::add(Entry& entry, std::shared_ptr<Graph> graph) {
  living_.erase(std::remove_if(living_.begin(), living_.end(),
                               [](const auto& living) { return living.expired(); }),
                living_.end());
  living_.push_back(graph);
  entry.graph = std::move(graph);
}

void Graphs::capture_failed(Entry& entry, const Error& error) {
  // Next time there may be enough memory.
  if (error.code() == ErrorCode::kOutOfMemory) return;
  entry.refused = true;
  if (error.code() == ErrorCode::kDevice) count_failure(error.what());
}

void Graphs::replay_failed(Entry& entry, const Error& error) {
  entry.graph.reset();
  count_failure(error.what());
}

void Graphs::count_failure(const std::string& what) {
  ++failures_;
  const bool off = failures_ >= kMostFailures;
  if (off) {
    on_ = false;
    erase_all();
  }
  const std::lock_guard lock(mutex_);
  reason_ = (off ? "not any more: " : "not always: ") + what;
}

void Graphs::drop_expired() {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const bool expired = std::any_of(entry->weights.begin(), entry->weights.end(),
                                     [](const auto& weights) { return weights.expired(); });
    entry = expired ? erase(entry) : std::next(entry);
  }
}

void Graphs::context_ends(bool stopped) {
  // A graph with more references than the entry's and this one is held by a work in flight.
  bool running = false;
  for (const auto& weak : living_) {
    if (const auto graph = weak.lock()) {
      const bool listed = std::any_of(entries_.begin(), entries_.end(),
                                      [&](const Entry& entry) { return entry.graph == graph; });
      running = running || graph.use_count() > (listed ? 2 : 1);
      stopped ? (void)graph->handle.release() : graph->handle.reset();
    }
  }
  living_.clear();
  erase_all();
  if (running) count_failure("a context failed while a replay was on its way");
}

void Graphs::clear() {
  erase_all();
  living_.clear();
}

void Graphs::erase_all() {
  by_key_.clear();
  entries_.clear();
}

Graphs::Entries::iterator Graphs::erase(Entries::iterator entry) {
  by_key_.erase(entry->key);
  return entries_.erase(entry);
}

}  // namespace latte::ascend
