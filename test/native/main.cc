#include <string_view>

#include "check.h"
#include "system/thread_pool.h"

namespace {

/// A data race: two threads write one number. ThreadSanitizer must report it; that shows that it
/// works, and that a run of the tests without a report means something.
void race() {
  auto& pool = *new latte::system::ThreadPool(2);
  int number = 0;
  while (pool.counts().helped == 0) {
    pool.parallel_for(10000, 2, [&](int64_t) { ++number; });
  }
  std::printf("%d\n", number);
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 2 && std::string_view(arguments[1]) == "--race") {
    race();
    return 0;
  }
  return latte::test::main(count, arguments);
}
