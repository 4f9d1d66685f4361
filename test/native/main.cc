#include <string_view>

#include "check.h"
#include "system/thread_pool.h"

namespace {

/// Two threads write one number without any order: what ThreadSanitizer must report, so that its
/// silence about the tests means something.
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
