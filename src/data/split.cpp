// Rows by class, and a seeded part of every class held out.
#include "data/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/sizes.h"
#include "retort/core/random.h"

namespace retort::data {
namespace {

Split take_rows(const Split& whole, const std::vector<int64_t>& rows) {
  const at::Tensor index = at::tensor(rows, at::kLong);
  return make_split(whole.images.index_select(0, index), whole.labels.index_select(0, index),
                    std::ssize(whole.rows_by_class));
}

}  // namespace

Split make_split(at::Tensor images, at::Tensor labels, int64_t classes) {
  TORCH_CHECK(images.scalar_type() == at::kByte && images.dim() == 4 &&
                  labels.scalar_type() == at::kLong && labels.dim() == 1 &&
                  images.size(0) == labels.size(0),
              "a split is uint8 [N, C, H, W] with int64 [N]");
  Split split{images.contiguous(), labels.contiguous(), {}};
  split.rows_by_class.resize(to_size(classes));
  const int64_t* label = split.labels.data_ptr<int64_t>();
  for (int64_t row = 0; row < split.size(); ++row) {
    TORCH_CHECK(label[row] >= 0 && label[row] < classes, "label ", label[row], " in row ", row);
    split.rows_by_class[to_size(label[row])].push_back(row);
  }
  return split;
}

std::pair<std::vector<int64_t>, std::vector<int64_t>> held_rows(const Members& members,
                                                                double fraction, int64_t seed,
                                                                std::string_view purpose) {
  std::vector<int64_t> rest, taken;
  for (size_t c = 0; c < members.size(); ++c) {
    const std::vector<int64_t>& rows = members[c];
    const int64_t count = std::ssize(rows);
    const int64_t wanted = std::llround(fraction * count);
    const int64_t most = std::max<int64_t>(count - 1, 0);
    const int64_t part = std::clamp<int64_t>(wanted, std::min<int64_t>(most, 1), most);
    RandomStream stream(static_cast<uint64_t>(seed), purpose, c);
    int64_t drawn = 0;
    for (const int64_t i : stream.permutation(count))
      (drawn++ < part ? taken : rest).push_back(rows[to_size(i)]);
  }
  std::sort(rest.begin(), rest.end());
  std::sort(taken.begin(), taken.end());
  return {rest, taken};
}

std::string test_split_note(double fraction, int64_t seed) {
  return fmt::format(
      "no test part in the source: {:g} % of every class split off as test (split_seed {})",
      100 * fraction, seed);
}

std::pair<Split, Split> hold_out(const Split& whole, double fraction, int64_t seed,
                                 std::string_view purpose) {
  const auto [rest, taken] = held_rows(whole.rows_by_class, fraction, seed, purpose);
  return {take_rows(whole, rest), take_rows(whole, taken)};
}

}  // namespace retort::data
