#include <cstring>

#include "cases.h"
#include "entries.h"

namespace latte::kernel_test {
namespace {

struct Frames {
  int64_t patch, channels, outer, inner, height, width;
  DType dtype;
  int64_t vector_cores = 3;
};

void run(const Frames& f, model::Schedule schedule) {
  const size_t item = item_size(f.dtype);
  const LatentView view = video({f.dtype, f.outer, f.inner, f.channels, f.height, f.width});
  const auto tiling = ascend::patchify_tiling({1, f.vector_cores}, view, f.patch);
  require(tiling.has_value(), "the tiling refuses");

  std::vector<uint8_t> pixels(static_cast<size_t>(f.outer * view.outer_stride) * item);
  uint32_t random = 12345;
  for (uint8_t& byte : pixels) {
    random = random * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(random >> 24);
  }
  const int64_t h = f.height / f.patch, w = f.width / f.patch, p = f.patch;
  const int64_t images = f.outer * f.inner, depth = f.channels * p * p;
  Memory memory;
  uint8_t* latent = memory.add(pixels.data(), pixels.size());
  const auto bytes = static_cast<size_t>(images * h * w * depth) * item;
  uint8_t* patches = memory.add(bytes);
  model::run({model::CoreKind::kVector, tiling->blocks, schedule, memory.resolver()},
             [&] { latte_patchify(latent, patches, *tiling); });

  std::vector<uint8_t> expected(bytes);
  uint8_t* to = expected.data();
  for (int64_t image = 0; image < images; ++image) {
    for (int64_t y = 0; y < h; ++y) {
      for (int64_t x = 0; x < w; ++x) {
        for (int64_t c = 0; c < f.channels; ++c) {
          for (int64_t i = 0; i < p; ++i) {
            const int64_t at = image / f.inner * view.outer_stride +
                               image % f.inner * view.inner_stride + c * view.channel_stride +
                               (y * p + i) * f.width + x * p;
            std::memcpy(to, pixels.data() + static_cast<size_t>(at) * item,
                        static_cast<size_t>(p) * item);
            to += static_cast<size_t>(p) * item;
          }
        }
      }
    }
  }
  for (size_t i = 0; i < bytes; ++i) {
    require(patches[i] == expected[i],
            "byte " + std::to_string(i) + " of " + std::to_string(bytes) + " differs");
  }
}

}  // namespace

void add_patchify_cases(std::vector<NamedCase>& cases) {
  const auto add = [&](Frames f) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
      f.dtype = dtype;
      const std::string name = "patchify p" + std::to_string(f.patch) + " c" +
                               std::to_string(f.channels) + " " + std::to_string(f.outer) + "x" +
                               std::to_string(f.inner) + " images " + std::to_string(f.height) +
                               "x" + std::to_string(f.width) + " " + dtype_name(dtype);
      cases.push_back({name, [f](model::Schedule schedule) { run(f, schedule); }});
    }
  };
  const DType any = DType::kFloat32;
  // Patches, channels and frames of test/golden.
  add({2, 4, 1, 1, 8, 8, any});
  add({2, 4, 2, 1, 8, 8, any});
  add({2, 4, 3, 1, 8, 8, any});
  add({2, 4, 1, 1, 8, 12, any});
  add({2, 4, 1, 1, 8, 10, any});
  add({2, 4, 1, 1, 8, 6, any});
  add({2, 4, 1, 1, 8, 2, any});
  add({4, 3, 1, 1, 24, 8, any});
  add({4, 3, 1, 1, 16, 36, any});
  add({4, 3, 1, 1, 9, 11, any});
  add({4, 3, 1, 1, 13, 10, any});
  add({16, 3, 2, 1, 32, 48, any});
  add({14, 3, 1, 1, 42, 28, any});
  add({1, 16, 2, 1, 4, 4, any});
  add({1, 8, 1, 1, 2, 3, any});
  // Videos, odd frames, whole and partial tiles in both directions.
  add({2, 4, 2, 3, 8, 8, any});
  add({2, 4, 1, 2, 9, 11, any});
  add({4, 3, 1, 1, 12, 16, any});
  add({3, 5, 1, 2, 10, 17, any});
  add({3, 1, 1, 1, 3, 5, any});
  add({3, 1, 1, 2, 30, 17, any, 1});
  add({8, 4, 1, 1, 17, 33, any});
  add({1, 1, 1, 1, 1, 1, any});
  add({1, 1, 1, 1, 9, 7, any, 1});
  add({2, 4, 1, 4, 64, 64, any, 2});
  add({2, 4, 1, 16, 16, 16, any, 1});
  add({2, 16, 1, 1, 6, 2050, any, 2});
  add({1, 3, 1, 1, 5, 7001, any, 2});
  add({16, 16, 1, 1, 32, 64, any, 2});

  const auto refuse = [&](const std::string& name, const Frames& f) {
    cases.push_back({"patchify refuses " + name, [f](model::Schedule) {
                       const auto tiling = ascend::patchify_tiling(
                           {1, f.vector_cores},
                           video({f.dtype, f.outer, f.inner, f.channels, f.height, f.width}),
                           f.patch);
                       require(!tiling, "the tiling does not refuse");
                     }});
  };
  refuse("a token that exceeds the unified buffer", {64, 4, 1, 1, 64, 64, any});
  refuse("frames smaller than a patch", {4, 4, 1, 1, 3, 8, any});
  refuse("rows too far apart for a copy", {1, 1, 1, 1, 1, 1 << 19, any});
  refuse("no images", {2, 4, 0, 1, 8, 8, any});
  refuse("other types", {2, 4, 1, 1, 8, 8, DType::kInt32});
  refuse("no vector cores", {2, 4, 1, 1, 8, 8, any, 0});
}

}  // namespace latte::kernel_test
