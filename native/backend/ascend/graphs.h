// Parts of forwards that were captured. Each is replayed as one submission instead of a launch per
// operation. A captured part reads and writes memory of its own.
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

/// One captured part. It must be destroyed on the device's thread, after its last replay has ended.
struct Graph {
  std::shared_ptr<Buffer> input, output;
  std::vector<std::shared_ptr<Buffer>> scratch;
  GraphHandle handle;  // destroyed before the blocks that its launches use
};

/// The graphs of one device. Used on the device's thread; on() and reason() may be called on any.
class Graphs {
 public:
  /// A part that has run at least once.
  struct Entry {
    std::string key;
    uint64_t layer = 0;                              // the id of the part's first weights
    std::vector<std::weak_ptr<const void>> weights;  // those that the graph reads
    std::shared_ptr<Graph> graph;                    // null: not captured
    bool refused = false;                            // whether a capture has failed
    uint64_t runs = 0;
    uint64_t last_run = 0;  // counted in runs of all parts
  };

  /// Graphs are off until the device's trial has succeeded.
  void switch_on();
  void switch_off(const std::string& reason);
  bool on() const { return on_; }
  /// Why nothing is captured, or why something could not be; else empty.
  std::string reason() const;

  /// Counts a run of a part. The entry lives until the next call of visit(), drop_expired(),
  /// context_ends() or clear(), and for as long as all `weights` live.
  Entry& visit(const std::string& key, uint64_t layer,
               const std::vector<std::weak_ptr<const void>>& weights);
  /// Whether to capture a part now: it has run before, and there is room for its graph. May destroy
  /// the graph that was used longest ago to make room.
  bool may_capture(Entry& entry);
  /// Keeps the graph of an entry.
  void add(Entry& entry, std::shared_ptr<Graph> graph);
  /// To be called if a part could not be captured. It is tried again only if memory was lacking.
  void capture_failed(Entry& entry, const Error& error);
  /// To be called if ACL refused a replay. Destroys the graph, which may be captured anew.
  void replay_failed(Entry& entry, const Error& error);
  /// To be called if a replay has succeeded.
  void succeeded() { failures_ = 0; }

  /// Destroys graphs whose weights are gone.
  void drop_expired();
  /// To be called before a context is destroyed after a failure. If `stopped`, its tasks never end:
  /// then the graphs are left to end with the context, because aclmdlRIDestroy would wait for their
  /// replays (docs/ascend-operations.md).
  void context_ends(bool stopped);
  /// Destroys all graphs, which must not be running.
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
  std::vector<std::weak_ptr<Graph>> living_;  // including those that only works in flight hold
  uint64_t runs_ = 0;                         // of all parts
  int failures_ = 0;                          // since the last replay that succeeded
};

}  // namespace latte::ascend
