#include "backend/cpu/patch_rows.h"

#include <algorithm>

#include "backend/cpu/linear_weights.h"

namespace latte::cpu {

namespace {

/// The images of a group. More of them would read and write too many distant addresses in turn.
constexpr int64_t kGroup = 32;

/// Each row of a table plus the bias of its channels.
std::vector<float> plus(const std::vector<float>& rows, const float* bias, int64_t channels) {
  std::vector<float> sums(rows.size());
  for (size_t i = 0; i < rows.size(); ++i)
    sums[i] = rows[i] + bias[i % static_cast<size_t>(channels)];
  return sums;
}

}  // namespace

std::shared_ptr<const CpuPositions::Biased> CpuPositions::biased(
    const CpuLinearWeights& weights) const {
  const std::lock_guard lock(mutex_);
  if (biased_ == nullptr || biased_->weights != weights.id) {
    const int64_t half = weights.out_features / 2;
    const float* bias = weights.bias.data();
    biased_ = std::make_shared<const Biased>(
        Biased{weights.id, plus(table.columns, bias, half), plus(table.rows, bias + half, half)});
  }
  return biased_;
}

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
  if (args.positions == nullptr) {
    halves_[0] = halves_[1] = {zeros_.data(), 0, 0};
    return;
  }
  const PositionTable& table = as_cpu(*args.positions).table;
  if (table.is_separable()) {
    use_table(table.columns, table.rows);
  } else {
    const int64_t step = table.whole_rows == 1 ? 0 : dim_;
    halves_[0] = {table.whole.data(), width_ * step, step};
    halves_[1] = {table.whole.data() + dim_ / 2, width_ * step, step};
  }
}

void PatchRows::use_table(const std::vector<float>& columns, const std::vector<float>& rows) {
  const int64_t half = dim_ / 2;
  halves_[0] = {columns.data(), 0, half};
  halves_[1] = {rows.data(), half, 0};
}

bool PatchRows::include_bias() {
  const CpuLinearWeights& weights = as_cpu(*args_.weights);
  if (args_.positions == nullptr) {
    halves_[0] = {weights.bias.data(), 0, 0};
    halves_[1] = {weights.bias.data() + dim_ / 2, 0, 0};
    return true;
  }
  const CpuPositions& positions = as_cpu(*args_.positions);
  if (!positions.table.is_separable()) return false;
  biased_ = positions.biased(weights);
  use_table(biased_->columns, biased_->rows);
  return true;
}

PatchRow PatchRows::row(int64_t image, int64_t y, int64_t x) const {
  const int64_t token = y * width_ + x;
  PatchRow row;
  row.latent = frames_[image] + y * args_.patch.height * args_.latent.width + x * args_.patch.width;
  const int64_t output =
      args_.channels_first ? image * tokens() * dim_ + token : (image * tokens() + token) * dim_;
  row.output = static_cast<char*>(args_.output.data) +
               output * static_cast<int64_t>(item_size(args_.weights->dtype));
  for (int i = 0; i < 2; ++i) {
    row.positions[i] = halves_[i].begin + y * halves_[i].row_step + x * halves_[i].column_step;
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
