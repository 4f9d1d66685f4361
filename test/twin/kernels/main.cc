// kernel_test [begin of the cases' names [message]] runs the cases in both orders; the exit status
// is 1 if one fails. With a message, a regular expression, it ends at the first failure that
// matches. kernel_test --list prints the cases' names.
#include <cstring>
#include <exception>
#include <optional>
#include <regex>

#include "cases.h"

namespace latte::kernel_test {

uint8_t* Memory::add(size_t bytes) {
  constexpr size_t kGuard = 64;
  Region region;
  region.bytes.assign(bytes + kGuard, 0xff);
  region.size = bytes;
  auto* at = region.bytes.data();
  // Device memory is aligned to 32 bytes at least.
  at += (32 - reinterpret_cast<uintptr_t>(at) % 32) % 32;
  region.begin = at;
  regions_.push_back(std::move(region));
  return at;
}

uint8_t* Memory::add(const void* content, size_t bytes) {
  uint8_t* at = add(bytes);
  if (bytes > 0) std::memcpy(at, content, bytes);
  return at;
}

model::Resolve Memory::resolver() const {
  return [this](uint64_t address, size_t bytes) -> uint8_t* {
    for (const Region& region : regions_) {
      const auto begin = reinterpret_cast<uint64_t>(region.begin);
      if (address >= begin && address + bytes <= begin + region.size) {
        return region.begin + (address - begin);
      }
    }
    return nullptr;
  };
}

LatentView video(const VideoShape& shape) {
  LatentView view;
  view.dtype = shape.dtype;
  view.outer = shape.outer;
  view.inner = shape.inner;
  view.channels = shape.channels;
  view.height = shape.height;
  view.width = shape.width;
  view.inner_stride = shape.height * shape.width;
  view.channel_stride = shape.inner * view.inner_stride;
  view.outer_stride = shape.channels * view.channel_stride;
  return view;
}

void require(bool condition, const std::string& message) {
  if (!condition) throw std::runtime_error(message);
}

}  // namespace latte::kernel_test

int main(int argc, char** argv) {
  using namespace latte::kernel_test;
  using latte::model::Schedule;
  // Written at once, because a toolkit's own check may end the process.
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  std::vector<NamedCase> cases;
  add_timestep_cases(cases);
  add_patchify_cases(cases);
  add_fused_cases(cases);
  const std::string filter = argc > 1 ? argv[1] : "";
  if (filter == "--list") {
    for (const NamedCase& named : cases) std::printf("%s\n", named.name.c_str());
    return 0;
  }
  const std::optional<std::regex> enough =
      argc > 2 ? std::optional<std::regex>(argv[2]) : std::nullopt;
  int run = 0, failed = 0;
  for (const NamedCase& named : cases) {
    if (named.name.rfind(filter, 0) != 0) continue;
    for (const Schedule schedule : {Schedule::kConsumersFirst, Schedule::kProducersFirst}) {
      ++run;
      const char* order =
          schedule == Schedule::kConsumersFirst ? "consumers first" : "producers first";
      try {
        named.run(schedule);
      } catch (const std::exception& error) {
        ++failed;
        std::printf("FAILED %s (%s): %s\n", named.name.c_str(), order, error.what());
        if (enough && std::regex_search(error.what(), *enough)) return 1;
      }
    }
  }
  std::printf("%d runs, %d failed\n", run, failed);
  return failed == 0 && run > 0 ? 0 : 1;
}
