#include "backend/cpu/patch_rows.h"

#include <algorithm>

#include "backend/cpu/operations.h"

namespace latte::cpu {

namespace {

/// The images of a group. More of them would read and write too many distant addresses in turn.
constexpr int64_t kGroup = 32;

}  // namespace

PatchRows::PatchRows(const PatchProjectionArgs& args)
    : args_(args),
      images_(args.images()),
      height_(args.token_rows()),
      width_(args.token_columns()),
      dim_(args.weights->out_features),
      zeros_(args.positions == nullptr ? static_cast<size_t>(dim_ - dim_ / 2) : 0) {
  frames_.reserve(static_cast<size_t>(images_));
  for (int64_t outer = 0; outer < args.latent.outer; ++outer) {
    const int64_t frames = args.patch.frames;
    for (int64_t frame = 0; frame + frames <= args.latent.inner; frame += frames) {
      frames_.push_back(outer * args.latent.outer_stride + frame * args.latent.inner_stride);
    }
  }
}

PatchRow PatchRows::row(int64_t image, int64_t y, int64_t x) const {
  const int64_t token = y * width_ + x, half = dim_ / 2;
  PatchRow row;
  row.latent = frames_[image] + y * args_.patch.height * args_.latent.width + x * args_.patch.width;
  const int64_t output =
      args_.channels_first ? image * tokens() * dim_ + token : (image * tokens() + token) * dim_;
  row.output = static_cast<char*>(args_.output.data) +
               output * static_cast<int64_t>(item_size(args_.weights->dtype));
  row.positions[0] = row.positions[1] = zeros_.data();
  if (args_.positions == nullptr) return row;
  const PositionTable& table = static_cast<const CpuPositions*>(args_.positions)->table;
  if (table.whole_rows > 0) {
    row.positions[0] = table.whole.data() + (table.whole_rows == 1 ? 0 : token * dim_);
    row.positions[1] = row.positions[0] + half;
  } else {
    row.positions[0] = table.columns.data() + x * half;
    row.positions[1] = table.rows.data() + y * half;
  }
  return row;
}

void PatchRows::list(int64_t first, int64_t count, PatchRow* rows) const {
  const int64_t group_rows = kGroup * tokens();
  int64_t begin = first / group_rows * kGroup;
  int64_t size = std::min(kGroup, images_ - begin);
  int64_t token = first % group_rows / size, member = first % group_rows % size;
  int64_t y = token / width_, x = token % width_;
  for (int64_t i = 0; i < count; ++i) {
    rows[i] = row(begin + member, y, x);
    if (++member < size) continue;
    member = 0;
    if (++x < width_) continue;
    x = 0;
    if (++y < height_) continue;
    y = 0;
    begin += size;
    size = std::min(kGroup, images_ - begin);
  }
}

}  // namespace latte::cpu
