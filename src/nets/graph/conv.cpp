#include "nets/graph/conv.h"

#include <algorithm>

#include "nets/graph/patches.h"
#include "nets/graph/wide.h"
#include "nets/winograd/first_layer.h"
#include "nets/winograd/shape_table.h"

namespace retort::nets {
namespace {

enum class Way {
  kFirst,    ///< few channels, directly
  kTiles,    ///< Winograd an image at a time: its transforms stay in cache
  kWide,     ///< Winograd of a whole batch: so do its weights
  kPatches,  ///< every other kernel and stride
};

constexpr int64_t kTileChannels = 128;  ///< of in and out, in the mean, whose weights stay in cache
constexpr int64_t kMostLanes = 8;       ///< sums of the weight's cotangent that threads make

Way way_of(const PlanStep& s) {
  if (s.from < 0) return Way::kFirst;
  if (s.conv.kernel != 3 || s.conv.stride != 1 || s.conv.padding != 1) return Way::kPatches;
  return s.in.channels * s.out.channels > kTileChannels * kTileChannels ? Way::kWide : Way::kTiles;
}

FirstShape first_of(const PlanStep& s, int64_t images) {
  return {images, s.in.channels, s.out.channels, s.in.height, s.in.width, s.conv.padding};
}

WinogradShape tiles_of(const PlanStep& s, int64_t images, bool turned = false) {
  return {images,
          turned ? s.out.channels : s.in.channels,
          turned ? s.in.channels : s.out.channels,
          s.in.height,
          s.in.width,
          tile_of(s.in.height, s.in.width)};
}

PatchShape patches_of(const PlanStep& s) {
  return {s.in.channels, s.out.channels, s.in.height,   s.in.width,
          s.conv.kernel, s.conv.stride,  s.conv.padding};
}

/// Scratch memory for every worker.
class Scratch {
 public:
  Scratch(Buffers& buffers, int64_t each)
      : buffers_(buffers), each_((each + 15) / 16 * 16), all_(buffers.take(each_ * workers())) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { buffers_.give(all_); }
  float* of(int64_t worker) const { return all_ + worker * each_; }

 private:
  Buffers& buffers_;
  const int64_t each_;
  float* const all_;
};

/// All pieces of a batch's tiles, one after the other.
template <class Work>
void each_piece(const WinogradShape& s, const Work& work) {
  WidePiece piece = wide_piece(s);
  const int64_t most = piece.tiles;
  for (int64_t first = 0; first < s.tiles(); first += most) {
    piece.first = first;
    piece.tiles = std::min(most, s.tiles() - first);
    work(piece);
  }
}

void wide_forward(const WinogradShape& s, Buffers& buffers, const float* input,
                  const float* weights, float* map) {
  const WidePiece largest = wide_piece(s);
  float* inputs = buffers.take(wide_input_floats(s, largest));
  float* outputs = buffers.take(wide_output_floats(s, largest));
  each_piece(s, [&](const WidePiece& piece) {
    share_out(piece.chunks(), [&](int64_t c, int64_t) { wide_inputs(s, piece, c, input, inputs); });
    share_out(wide_elements(s),
              [&](int64_t e, int64_t) { wide_products(s, piece, e, inputs, weights, outputs); });
    share_out(piece.chunks(), [&](int64_t c, int64_t) { wide_outputs(s, piece, c, outputs, map); });
  });
  buffers.give(inputs);
  buffers.give(outputs);
}

void wide_weight(const WinogradShape& s, Buffers& buffers, const float* input, const float* dmap,
                 float* dweight) {
  const Scratch memory(buffers, winograd_weight_scratch(s));
  share_out(winograd_weight_groups(s), [&](int64_t group, int64_t worker) {
    winograd_weight_group(s, group, input, dmap, dweight, memory.of(worker));
  });
}

/// Calls work(first image, images, where a lane's sum lies, scratch) for lanes of images, and adds
/// their sums to `sum` in their order.
template <class Work>
void sum_lanes(const ConvCall& call, int64_t scratch, float* sum, const Work& work) {
  const int64_t size = call.step.in.channels * call.step.out.channels * 9;
  const int64_t lanes = std::min(kMostLanes, call.rows);
  float* sums = call.buffers.take(lanes * size);
  const Scratch memory(call.buffers, scratch);
  share_out(lanes, [&](int64_t lane, int64_t worker) {
    const int64_t begin = call.rows * lane / lanes;
    std::fill_n(sums + lane * size, size, 0.0f);
    work(begin, call.rows * (lane + 1) / lanes - begin, sums + lane * size, memory.of(worker));
  });
  for (int64_t lane = 0; lane < lanes; ++lane)
    for (int64_t i = 0; i < size; ++i) sum[i] += sums[lane * size + i];
  call.buffers.give(sums);
}

void forward_patches(const ConvCall& call, const float* input, const float* weights, float* map,
                     const MapsDone& done) {
  const PatchShape s = patches_of(call.step);
  const int64_t together = patch_images(s), pieces = (call.rows + together - 1) / together;
  const Scratch memory(call.buffers, patch_scratch(s, together));
  share_out(pieces, [&](int64_t p, int64_t worker) {
    const int64_t begin = p * together, end = std::min(call.rows, begin + together);
    patch_forward(s, end - begin, input + begin * s.input_size(), weights,
                  map + begin * s.output_size(), memory.of(worker));
    done(begin, end);
  });
}

void back_patches(const ConvCall& call, const float* dmap, const float* turned, float* dinput) {
  const PatchShape s = patches_of(call.step);
  const int64_t together = patch_images(s), pieces = (call.rows + together - 1) / together;
  const Scratch memory(call.buffers, patch_scratch(s, together));
  share_out(pieces, [&](int64_t p, int64_t worker) {
    const int64_t begin = p * together, end = std::min(call.rows, begin + together);
    patch_input(s, end - begin, dmap + begin * s.output_size(), turned,
                dinput + begin * s.input_size(), memory.of(worker));
  });
}

void weigh_patches(const ConvCall& call, const float* input, const float* dmap, float* dweight) {
  const PatchShape s = patches_of(call.step);
  const int64_t together = patch_images(s), pieces = (call.rows + together - 1) / together;
  float* columns = call.buffers.take(call.rows * s.output_size());
  share_out(pieces, [&](int64_t p, int64_t) {
    const int64_t begin = p * together, end = std::min(call.rows, begin + together);
    patch_columns(s, end - begin, dmap + begin * s.output_size(),
                  columns + begin * s.output_size());
  });
  const Scratch memory(call.buffers, patch_part_scratch(s));
  share_out(patch_parts(s), [&](int64_t part, int64_t worker) {
    patch_weight(s, call.rows, part, input, columns, dweight, memory.of(worker));
  });
  call.buffers.give(columns);
}

}  // namespace

int64_t conv_weights(const PlanStep& step, bool turned) {
  switch (way_of(step)) {
    case Way::kFirst:
      return first_weights(first_of(step, 1), turned);
    case Way::kPatches:
      return patches_of(step).weights();
    default:
      return winograd_weights(tiles_of(step, 1, turned));
  }
}

PackedPlan::PackedPlan(const Plan& plan, const float* theta, Back back, Arena& arena)
    : packed_(2 * plan.steps.size()) {
  std::vector<std::function<void()>> work;
  for (size_t i = plan.steps.size(); i-- > 0;) {  // the last have the most weights
    const PlanStep& step = plan.steps[i];
    if (step.kind != PlanStep::Kind::kConv) continue;
    const bool goes_back = back == Back::kImages || (back == Back::kMaps && step.from >= 0);
    for (const bool turned : {false, true}) {
      if (turned && !goes_back) continue;
      float* to = arena.take(conv_weights(step, turned));
      const float* from = theta + step.weight;
      packed_[2 * i + (turned ? 1 : 0)] = to;
      const Way way = way_of(step);
      if (way == Way::kPatches)
        for (int64_t p = 0; p < patch_panels(patches_of(step), turned); ++p)
          work.emplace_back([=] { patch_pack(patches_of(step), p, from, turned, to); });
      else if (way == Way::kFirst)
        work.emplace_back([=] { first_pack(first_of(step, 1), from, turned, to); });
      else
        work.emplace_back([=] { winograd_pack(tiles_of(step, 1, turned), from, turned, to); });
    }
  }
  share_out(std::ssize(work), [&](int64_t i, int64_t) { work[to_size(i)](); });
}

void ConvCall::forward(const float* input, const float* weights, float* map,
                       const MapsDone& done) const {
  const int64_t in = step.input_size(), out = step.size();
  const Way way = way_of(step);
  if (way == Way::kPatches) return forward_patches(*this, input, weights, map, done);
  if (way == Way::kWide) {
    wide_forward(tiles_of(step, rows), buffers, input, weights, map);
    return share_out(rows, [&](int64_t n, int64_t) { done(n, n + 1); });
  }
  const FirstShape first = first_of(step, 1);
  const WinogradShape tiles = tiles_of(step, 1);
  const bool direct = way == Way::kFirst;
  const Scratch memory(buffers, direct ? first_scratch(first) : winograd_scratch(tiles));
  share_out(rows, [&](int64_t n, int64_t worker) {
    if (direct)
      first_forward(first, input + n * in, weights, map + n * out, memory.of(worker));
    else
      winograd_convolve(tiles, input + n * in, weights, map + n * out, memory.of(worker));
    done(n, n + 1);
  });
}

void ConvCall::back(const float* dmap, const float* turned, float* dinput) const {
  const int64_t in = step.input_size(), out = step.size();
  const Way way = way_of(step);
  if (way == Way::kPatches) return back_patches(*this, dmap, turned, dinput);
  if (way == Way::kWide)
    return wide_forward(tiles_of(step, rows, true), buffers, dmap, turned, dinput);
  const FirstShape first = first_of(step, 1);
  const WinogradShape tiles = tiles_of(step, 1, true);
  const bool direct = way == Way::kFirst;
  const Scratch memory(buffers, direct ? first_scratch(first) : winograd_scratch(tiles));
  share_out(rows, [&](int64_t n, int64_t worker) {
    if (!direct)
      return winograd_convolve(tiles, dmap + n * out, turned, dinput + n * in, memory.of(worker));
    std::fill_n(dinput + n * in, in, 0.0f);
    first_input(first, dmap + n * out, turned, dinput + n * in, memory.of(worker));
  });
}

void ConvCall::weight(const float* input, const float* dmap, float* dweight) const {
  const int64_t in = step.input_size(), out = step.size();
  const Way way = way_of(step);
  if (way == Way::kPatches) return weigh_patches(*this, input, dmap, dweight);
  if (way == Way::kWide) return wide_weight(tiles_of(step, rows), buffers, input, dmap, dweight);
  const bool direct = way == Way::kFirst;
  const int64_t least = rows / std::min(kMostLanes, rows);  // of a lane; some have one more
  const int64_t scratch = direct ? first_scratch(first_of(step, least + 1))
                                 : std::max(winograd_weight_scratch(tiles_of(step, least)),
                                            winograd_weight_scratch(tiles_of(step, least + 1)));
  sum_lanes(*this, scratch, dweight, [&](int64_t n, int64_t count, float* sum, float* memory) {
    if (direct)
      return first_weight(first_of(step, count), input + n * in, dmap + n * out, sum, memory);
    winograd_weight(tiles_of(step, count), input + n * in, dmap + n * out, sum, memory);
  });
}

}  // namespace retort::nets
