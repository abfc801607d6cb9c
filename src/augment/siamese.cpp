// Differentiable siamese augmentation. Deviation: applying all operations uses one fixed order and
// one interpolation for scale and rotate together; published code, which reaches only the mode that
// picks one, would take the order of the words and interpolate twice.
#include "augment/siamese.h"

#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "augment/image_rows.h"
#include "core/sizes.h"
#include "retort/core/error.h"

namespace retort::augment {
namespace {

using Row = std::array<float, kColumns>;
constexpr Row kIdentity = {1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1};

/// The row being drawn; the map is composed in double.
struct Draft {
  Row row = kIdentity;
  std::array<double, 4> map = {1, 0, 0, 1};  // without translation
  double height, width;
};

/// Sampling first by `next`, then by the map so far: out(p) = in(map next p).
void compose(Draft& draft, const std::array<double, 4>& next) {
  const std::array<double, 4> m = draft.map;
  draft.map = {m[0] * next[0] + m[1] * next[2], m[0] * next[1] + m[1] * next[3],
               m[2] * next[0] + m[3] * next[2], m[2] * next[1] + m[3] * next[3]};
}

void draw_color(Draft& draft, RandomStream& stream) {
  draft.row[kBrightness] = static_cast<float>(stream.uniform(-0.5, 0.5));
  draft.row[kSaturation] = static_cast<float>(stream.uniform(0, 2));
  draft.row[kContrast] = static_cast<float>(stream.uniform(0.5, 1.5));
}

float draw_shift(double side, RandomStream& stream) {
  const int64_t most = static_cast<int64_t>(std::floor(0.125 * side + 0.5));
  return static_cast<float>(stream.uniform_int(2 * most + 1) - most);
}

void draw_crop(Draft& draft, RandomStream& stream) {
  draft.row[kShiftRows] = draw_shift(draft.height, stream);
  draft.row[kShiftColumns] = draw_shift(draft.width, stream);
}

/// First and last-plus-one of a box half as long as the side, its centre anywhere in the image.
std::pair<float, float> draw_extent(double side, RandomStream& stream) {
  const int64_t length = static_cast<int64_t>(std::floor(0.5 * side + 0.5));
  const int64_t centre = stream.uniform_int(static_cast<int64_t>(side) + (length % 2 == 0 ? 1 : 0));
  const int64_t first = centre - length / 2;
  return {static_cast<float>(first), static_cast<float>(first + length)};
}

void draw_cutout(Draft& draft, RandomStream& stream) {
  std::tie(draft.row[kBoxTop], draft.row[kBoxBottom]) = draw_extent(draft.height, stream);
  std::tie(draft.row[kBoxLeft], draft.row[kBoxRight]) = draw_extent(draft.width, stream);
}

void draw_flip(Draft& draft, RandomStream& stream) {
  draft.row[kFlip] = stream.uniform() < 0.5 ? 1 : 0;
}

void draw_scale(Draft& draft, RandomStream& stream) {
  const double x = stream.uniform(1 / 1.2, 1.2), y = stream.uniform(1 / 1.2, 1.2);
  compose(draft, {x, 0, 0, y});
}

void draw_rotate(Draft& draft, RandomStream& stream) {
  const double angle = stream.uniform(-15, 15) * std::numbers::pi / 180;
  // Coordinates run from -1 to 1 along either side, whatever its length.
  const double aspect = draft.height / draft.width;
  compose(draft,
          {std::cos(angle), -std::sin(angle) * aspect, std::sin(angle) / aspect, std::cos(angle)});
}

struct Operation {
  const char* name;
  void (*draw)(Draft& draft, RandomStream& stream);
};
constexpr Operation kOperations[] = {{"color", draw_color},   {"crop", draw_crop},
                                     {"cutout", draw_cutout}, {"flip", draw_flip},
                                     {"scale", draw_scale},   {"rotate", draw_rotate}};

const Operation& find_operation(const std::string& name) {
  for (const Operation& operation : kOperations)
    if (name == operation.name) return operation;
  std::vector<std::string> names;
  for (const Operation& operation : kOperations) names.emplace_back(operation.name);
  throw ConfigError::unknown("reading the augmentation strategy", "augmentation", name, names);
}

/// Of where in the image things are.
bool is_place(std::string_view name) {
  return name == "crop" || name == "scale" || name == "rotate";
}

std::vector<const Operation*> choose(const Strategy& strategy, RandomStream& stream) {
  std::vector<const Operation*> chosen;
  for (const std::string& name : strategy.operations) chosen.push_back(&find_operation(name));
  if (strategy.all || chosen.empty()) return chosen;
  const auto moves = std::stable_partition(chosen.begin(), chosen.end(), [&](const Operation* one) {
    return strategy.one_place && !is_place(one->name);
  });
  if (moves == chosen.end()) return chosen;
  const auto picked = moves + stream.uniform_int(chosen.end() - moves);
  std::iter_swap(moves, picked);
  chosen.erase(moves + 1, chosen.end());
  return chosen;
}

void check_shapes(const at::Tensor& images, const at::Tensor& rows) {
  TORCH_CHECK(images.dim() == 4, "images are [N, C, H, W]");
  TORCH_CHECK(rows.dim() == 2 && rows.size(1) == kColumns &&
                  (rows.size(0) == 1 || rows.size(0) == images.size(0)),
              "rows are [N, 16] or [1, 16], not ", rows.sizes());
  TORCH_CHECK(rows.is_cpu(), "rows are kept on the CPU");
}

}  // namespace

Strategy parse_strategy(const std::string& text) {
  Strategy strategy;
  constexpr std::string_view kAll = "all:", kOnePlace = "one-place:";
  strategy.all = text.starts_with(kAll);
  strategy.one_place = text.starts_with(kOnePlace);
  const std::string words = text.substr(strategy.all         ? kAll.size()
                                        : strategy.one_place ? kOnePlace.size()
                                                             : 0);
  if (words.empty() || words == "none") return strategy;
  for (size_t first = 0; first <= words.size();) {
    const size_t last = std::min(words.find('_', first), words.size());
    const std::string name = find_operation(words.substr(first, last - first)).name;
    if (std::count(strategy.operations.begin(), strategy.operations.end(), name))
      throw ConfigError(ErrorMessage{"reading the augmentation strategy '" + text + "'",
                                     "'" + name + "' stands there twice", "each operation once",
                                     "leave it out once"});
    strategy.operations.push_back(name);
    first = last + 1;
  }
  return strategy;
}

std::string default_strategy(bool mirrorable) {
  return mirrorable ? "color_crop_cutout_flip_scale_rotate" : "color_crop_cutout_scale_rotate";
}

at::Tensor draw_each(const Strategy& strategy, int64_t count, int64_t height, int64_t width,
                     RandomStream& stream) {
  const std::vector<const Operation*> operations = choose(strategy, stream);
  const at::Tensor rows = at::empty({count, kColumns}, at::kFloat);
  float* out = rows.data_ptr<float>();
  for (int64_t n = 0; n < count; ++n, out += kColumns) {
    Draft draft{.height = static_cast<double>(height), .width = static_cast<double>(width)};
    for (const Operation* operation : operations) operation->draw(draft, stream);
    std::copy(draft.row.begin(), draft.row.end(), out);
    out[kMap] = static_cast<float>(draft.map[0]);
    out[kMap + 1] = static_cast<float>(draft.map[1]);
    out[kMap + 3] = static_cast<float>(draft.map[2]);
    out[kMap + 4] = static_cast<float>(draft.map[3]);
  }
  return rows;
}

at::Tensor draw_shared(const Strategy& strategy, int64_t height, int64_t width,
                       RandomStream& stream) {
  return draw_each(strategy, 1, height, width, stream);
}

at::Tensor identity() {
  return at::tensor(at::ArrayRef<float>(kIdentity.data(), kIdentity.size()), at::kFloat)
      .view({1, kColumns});
}

at::Tensor apply(const at::Tensor& images, const at::Tensor& rows) {
  check_shapes(images, rows);
  if (images.size(0) == 0) return images;
  return images.is_cpu() ? apply_rows(images, rows) : apply_tensors(images, rows);
}

at::Tensor pullback(const at::Tensor& rows, const at::Tensor& cotangents) {
  check_shapes(cotangents, rows);
  if (cotangents.size(0) == 0) return cotangents;
  return cotangents.is_cpu() ? pullback_rows(cotangents, rows) : pullback_tensors(cotangents, rows);
}

}  // namespace retort::augment
