// Parts of forwards that were captured: each is replayed as one submission instead of a launch per
// operation. What a captured part reads and writes lies in blocks of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/ascend/acl/acl_handle.h"
#include "backend/backend.h"

namespace latte::ascend {

/// One captured part. Its end belongs to the device's thread, after its last replay has ended.
struct Graph {
  std::shared_ptr<Buffer> input, output;
  std::vector<std::shared_ptr<Buffer>> scratch;
  GraphHandle handle;  // goes before the blocks that its launches use
};

/// The graphs of one device. Used on the device's thread; on() and reason() may be called on any.
class Graphs {
 public:
  /// A part that has run at least once.
  struct Entry {
    std::string key;
    uint64_t layer = 0;
    std::vector<std::weak_ptr<const void>> weights;  // which the graph reads
    std::shared_ptr<Graph> graph;                    // null: not captured
    bool refused = false;                            // it cannot be captured
    uint64_t runs = 0;
    uint64_t last_run = 0;  // in runs of all parts
  };

  /// A device starts without graphs.
  void switch_on();
  void switch_off(const std::string& reason);
  bool on() const { return on_; }
  /// Why nothing is captured, or what could not be; empty if all could.
  std::string reason() const;

  /// Counts a run of a part. The entry lives until the next call of visit(), drop_expired(),
  /// context_ends() or clear(), and for as long as all `weights` live.
  Entry& visit(const std::string& key, uint64_t layer,
               const std::vector<std::weak_ptr<const void>>& weights);
  /// Whether a part should be captured now: it has run before, and there is room for its graph. May
  /// end the graph that was used longest ago.
  bool may_capture(Entry& entry);
  void add(Entry& entry, std::shared_ptr<Graph> graph);
  /// A part could not be captured: it is not tried again.
  void capture_failed(Entry& entry, const Error& error);
  /// A replay was refused: its graph ends, and may be made anew.
  void replay_failed(Entry& entry, const Error& error);
  /// A replay has ended well.
  void succeeded() { failures_ = 0; }

  /// Ends graphs whose weights are gone.
  void drop_expired();
  /// The context is going to be destroyed after a failure. `stopped`: its tasks do not end, and its
  /// graphs end with it; to ask ACL for their end would wait for replays
  /// (docs/ascend-operations.md).
  void context_ends(bool stopped);
  /// Ends all graphs, which must not be running.
  void clear();

 private:
  using Entries = std::list<Entry>;

  Entries::iterator erase(Entries::iterator entry);
  void erase_all();
  template <class Condition>
  Entries::iterator used_longest_ago(const Condition& meets);
  void count_failure(const std::string& what);

  std::atomic<bool> on_ = false;
  mutable std::mutex mutex_;  // of reason_
  std::string reason_;
  Entries entries_;
  std::unordered_map<std::string, Entries::iterator> by_key_;
  std::vector<std::weak_ptr<Graph>> living_;  // also those that only works in flight hold
  uint64_t runs_ = 0;
  int failures_ = 0;  // since a replay has last ended well
};

}  // namespace latte::ascend
