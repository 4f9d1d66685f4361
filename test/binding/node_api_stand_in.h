// The part of Node-API that a forward uses, over a heap and an event loop of its own.
// ThreadSanitizer cannot check the binding inside Node, because Node's threads are not
// instrumented.
#pragma once

#include <node_api.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

/// A JavaScript value. Values live as long as their environment.
struct napi_value__ {
  napi_valuetype type = napi_undefined;
  std::string text;
  double number = 0;
  std::vector<napi_value> elements;  // of an array
  napi_type_tag tag{0, 0};
  void* wrapped = nullptr;
  napi_finalize finalize = nullptr;
};

struct napi_deferred__ {
  int settled = 0;
  bool resolved = false;
};

/// One environment: used by the thread that made it; post() and work() serve any thread.
struct napi_env__ {
  napi_env__();
  ~napi_env__();
  /// What Node does as an environment ends: it completes the works that were queued, runs the
  /// clean-up hooks from the last to the first, then the finalizers.
  void end();

  napi_value make(napi_valuetype type);
  /// On any thread: `task` runs in a later turn().
  void post(std::function<void()> task);
  /// On any thread: runs `task` on a thread of the pool.
  void work(std::function<void()> task);
  /// Runs what was posted; waits for something if nothing was.
  void turn();

  std::vector<std::unique_ptr<napi_value__>> values;
  std::vector<std::unique_ptr<napi_deferred__>> deferreds;
  std::vector<std::pair<void (*)(void*), void*>> hooks;
  size_t works = 0;  // queued and not completed

 private:
  void run_worker();

  std::mutex mutex_;
  std::condition_variable posted_, queued_;
  std::deque<std::function<void()>> tasks_, works_;
  bool ending_ = false;
  std::vector<std::thread> workers_;
};
