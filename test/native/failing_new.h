// Lets operator new fail in the calling thread (failing_new.cc replaces it).
#pragma once

namespace latte::test {

/// How many allocations of this thread succeed before one fails; negative: none fails.
inline thread_local int allocations_left = -1;
/// How many allocations this thread has made.
inline thread_local int allocations_made = 0;

/// Calls step() again and again: first its first allocation fails, then its second …, until it
/// succeeds. Calls failed() after each failure. Returns how many allocations the step makes.
template <class Step, class Failed>
int fail_each_allocation(const Step& step, const Failed& failed) {
  for (int left = 0;; ++left) {
    try {
      allocations_left = left;
      step();
      allocations_left = -1;
      return left;
    } catch (...) {
      allocations_left = -1;
    }
    failed();
  }
}

}  // namespace latte::test
