// A test program in a few lines: named tests, each run on its own.
//
//   program --list      prints the names, one a line
//   program 'a name'    runs that test; exit status 1, and what was wrong, if it fails
#pragma once

#include <cstdio>
#include <functional>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace latte::test {

struct Test {
  std::string name;
  std::function<void()> run;
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

/// Registers a test: const bool registered = test("name", [] { … });
inline bool test(std::string name, std::function<void()> run) {
  tests().push_back({std::move(name), std::move(run)});
  return true;
}

template <class... Parts>
[[noreturn]] void wrong(const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw std::runtime_error(message.str());
}

inline int main(int count, char** arguments) {
  if (count == 2 && std::string_view(arguments[1]) == "--list") {
    for (const Test& test : tests()) std::printf("%s\n", test.name.c_str());
    return 0;
  }
  int ran = 0;
  for (const Test& test : tests()) {
    if (count > 1 && test.name != arguments[1]) continue;
    ++ran;
    try {
      test.run();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s: %s\n", test.name.c_str(), error.what());
      return 1;
    }
  }
  std::printf("%d passed\n", ran);
  return ran > 0 ? 0 : 2;
}

}  // namespace latte::test

#define LATTE_TEST_NAME(line) latte_test_##line
#define LATTE_TEST_AT(line, name) \
  const bool LATTE_TEST_NAME(line) = latte::test::test(name, []() -> void
/// TEST("name") { … });
#define TEST(name) LATTE_TEST_AT(__LINE__, name)

#define EXPECT(condition)                                                            \
  do {                                                                               \
    if (!(condition)) latte::test::wrong(__FILE__, ":", __LINE__, ": ", #condition); \
  } while (false)
#define EXPECT_EQ(a, b)                                                                     \
  do {                                                                                      \
    const auto left = (a);                                                                  \
    const auto right = (b);                                                                 \
    if (!(left == right))                                                                   \
      latte::test::wrong(__FILE__, ":", __LINE__, ": ", #a, " is ", left, ", not ", right); \
  } while (false)
