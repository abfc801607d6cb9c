#include <algorithm>
#include <utility>

#include "nets/graph/features.h"
#include "nets/graph/tangent_pass.h"

namespace retort::nets {
namespace {

using Kind = PlanStep::Kind;

}  // namespace

void GraphTangentPass::backward(const float* dfeatures, const PassInto& into) {
  const PlanStep& last = plan_.steps.back();
  const int64_t rows = call_.rows;
  float* doutput = take(last.size());
  put_features(last, rows, dfeatures + rows * plan_.features, doutput);
  put_features(last, rows, dfeatures, doutput + rows * last.size());
  cotangents_.back() = {{doutput, nullptr}};
  for (int64_t i = std::ssize(plan_.steps); i-- > 0;) {
    if (step(i).kind == Kind::kJoin)
      backward_join(i, into.theta);
    else if (step(i).kind == Kind::kConv)
      backward_conv(i, into);
    else if (step(i).kind == Kind::kAffine)
      backward_affine(i, into.theta);
    else
      backward_pool(i);
  }
}

/// Adds up the cotangents of image n of a step's [derivatives, values], over the first.
void GraphTangentPass::sum_cotangents(int64_t i, int64_t n) {
  const int64_t size = step(i).size(), at = n * size;
  const std::vector<Cotangent>& own = cotangents_[to_size(i)];
  for (const Cotangent& one : own) {
    if (one.both != own[0].both) add_values(size, one.both + at, own[0].both + at);
    if (one.part && n < call_.rows) add_values(size, one.part + at, own[0].both + at);
  }
}

/// Gives back what a step's cotangents took, but for the first sum.
void GraphTangentPass::release_cotangents(int64_t i) {
  const std::vector<Cotangent>& own = cotangents_[to_size(i)];
  buffers_.give(own[0].part);
  for (size_t other = 1; other < own.size(); ++other)
    buffers_.give(own[other].both), buffers_.give(own[other].part);
  buffers_.give(out_[to_size(i)]);
}

void GraphTangentPass::backward_pool(int64_t i) {
  const PlanStep& s = step(i);
  const int64_t rows = call_.rows, places = s.in.height * s.in.width, size = s.input_size();
  float *sum = cotangents_[to_size(i)][0].both, *din = take(size);
  share_out(2 * rows, [&](int64_t n, int64_t) {
    sum_cotangents(i, n);
    for (int64_t c = 0; c < s.in.channels; c += kChannels) {
      const float* dout = sum + n * s.size() + c * s.positions();
      const float* in = out_[to_size(s.from)] + n % rows * size + c * places;
      float* to = din + n * size + c * places;
      if (s.kind == Kind::kAverage)
        mean_back(places, dout, to);
      else
        pool_back({s.in.height, s.in.width, s.largest}, in, dout, to);
    }
  });
  release_cotangents(i);
  buffers_.give(sum);
  cotangents_[to_size(s.from)].push_back({din, nullptr});
}

/// dn. = gain g. + gain. g; the gain's cotangent moves by g. n + g n..
void GraphTangentPass::backward_affine(int64_t i, float* dtheta) {
  const PlanStep& s = step(i);
  const int64_t rows = call_.rows, half = rows * s.size(), block = kChannels * s.positions();
  const float* in = out_[to_size(s.from)];
  float* gt = cotangents_[to_size(i)][0].both;
  const float *g = gt + half, *out = out_[to_size(i)];
  share_out(2 * rows, [&](int64_t n, int64_t) {
    sum_cotangents(i, n);
    if (s.relu) close_gate(s.size(), out + n % rows * s.size(), gt + n * s.size());
  });
  if (dtheta) {
    const AffineMaps sums = affine_sums(s, arena_);
    share_out(s.size() / block, [&](int64_t b, int64_t) {
      for (int64_t n = 0; n < rows; ++n) {
        const int64_t at = n * s.size() + b * block;
        multiply_values(block, gt + at, in + at, true, sums.gain + b * block);
        multiply_values(block, g + at, in + half + at, true, sums.gain + b * block);
        add_values(block, gt + at, sums.shift + b * block);
      }
    });
    add_affine(s, sums, dtheta);
  }
  share_out(rows, [&](int64_t n, int64_t) {
    float *value = gt + half + n * s.size(), *derivative = gt + n * s.size();
    multiply_values(s.size(), derivative, affine_[to_size(i)].gain, false, derivative);
    multiply_values(s.size(), value, affine_along_[to_size(i)].gain, true, derivative);
    multiply_values(s.size(), value, affine_[to_size(i)].gain, false, value);
  });
  release_cotangents(i);
  cotangents_[to_size(s.from)].push_back({gt, nullptr});
}

/// dw. = corr([x, x.], [dz., dz]); dx. = w^T dz. + w.^T dz.
void GraphTangentPass::backward_conv(int64_t i, const PassInto& into) {
  const PlanStep& s = step(i);
  const int64_t rows = call_.rows, size = s.input_size();
  const ConvCall one{s, rows, buffers_}, both{s, 2 * rows, buffers_};
  float* dmap = out_[to_size(i)];
  if (s.from < 0) {
    if (into.theta) one.weight(input_of(s), dmap, into.theta + s.weight);
    if (into.images) backward_images(i, into.images);
  } else {
    if (into.theta) both.weight(input_of(s), dmap, into.theta + s.weight);
    Cotangent din{take(size), buffers_.take(rows * size)};
    both.back(dmap, packed_.get(i, true), din.both);
    one.back(dmap + rows * s.size(), along_.get(i, true), din.part);
    cotangents_[to_size(s.from)].push_back(din);
  }
  buffers_.give(dmap);
}

void GraphTangentPass::backward_images(int64_t i, float* images) {
  const PlanStep& s = step(i);
  const int64_t count = call_.rows * s.input_size();
  const ConvCall conv{s, call_.rows, buffers_};
  const float* dmap = out_[to_size(i)];
  float* part = buffers_.take(count);
  conv.back(dmap, packed_.get(i, true), images);
  conv.back(dmap + call_.rows * s.size(), along_.get(i, true), part);
  for (int64_t k = 0; k < count; ++k) images[k] += part[k];
  buffers_.give(part);
}

/// One image's cotangent of the sum, written over the first of the join's, with its sums.
void GraphTangentPass::gate(int64_t i, const std::vector<MapBack>& backs, float* g, int64_t image) {
  const PlanStep& s = step(i);
  const int64_t half = call_.rows * s.size();
  for (int64_t c = 0; c < s.out.channels; c += kChannels) {
    const int64_t at = image * s.size() + c * s.positions(), by_image = image * s.out.channels + c;
    DualParts parts{};
    for (const Cotangent& one : cotangents_[to_size(i)]) {
      parts.tangents[parts.tangent_count++] = one.both + at;
      parts.values[parts.value_count++] = one.both + half + at;
      if (one.part) parts.tangents[parts.tangent_count++] = one.part + at;
    }
    DualSums sums[2];
    int count = 0;
    for (const MapBack& back : backs) {
      const MapState& map = maps_[to_size(back.step)];
      const float* z = out_[to_size(back.step)] + at;
      const DualMapSums& to = back.sums;
      sums[count++] = {z,
                       z + half,
                       map.found.mean.of(image) + c,
                       map.along.mean.of(image) + c,
                       to.g + by_image,
                       to.g_x + by_image,
                       to.gt + by_image,
                       to.gt_x + by_image,
                       to.g_xt + by_image};
    }
    gate_dual(s.positions(), parts, s.relu ? out_[to_size(i)] + at : nullptr, g + half + at, g + at,
              sums, count);
  }
}

/// The slopes of a map from its sums, and its norm's parameters.
void GraphTangentPass::slope(MapBack& back, float* dtheta) {
  const MapState& map = maps_[to_size(back.step)];
  const NormCall norm = norm_of(map, step(back.step));
  for (ByChannel* one :
       {&back.slopes.p, &back.slopes.q, &back.slopes.r, &back.tangents.q, &back.tangents.r})
    *one = by_channel(norm.shared(), norm.channels);
  norm_slopes(norm, back.sums.values(), map.found, back.slopes);
  tangent_slopes(norm, call_.direction, back.sums, map.found, map.along, back.tangents);
  if (!dtheta) return;
  add_tangent_parameters(norm, back.sums, map.moments,
                         {map.found, map.along, back.slopes, back.tangents}, dtheta);
}

/// One image's cotangents of maps, written over them.
void GraphTangentPass::lower(const std::vector<MapBack>& backs, const float* g, int64_t image) {
  for (const MapBack& back : backs) {
    const PlanStep& s = step(back.step);
    const MapState& map = maps_[to_size(back.step)];
    const int64_t half = call_.rows * s.size();
    for (int64_t c = 0; c < s.out.channels; c += kChannels) {
      const int64_t at = image * s.size() + c * s.positions();
      const auto of = [&](const ByChannel& all) { return all.of(image) + c; };
      float* z = out_[to_size(back.step)] + at;
      back_dual(s.positions(), g + half + at, g + at,
                {of(back.slopes.p), of(back.slopes.q), of(back.slopes.r), of(map.along.slope),
                 of(back.tangents.q), of(back.tangents.r), of(map.found.mean), of(map.along.mean)},
                z, z + half);
    }
  }
}

void GraphTangentPass::backward_join(int64_t i, float* dtheta) {
  const PlanStep& s = step(i);
  float* g = cotangents_[to_size(i)][0].both;
  std::vector<MapBack> backs;
  for (const PlanTerm& term : s.terms) {
    if (!term.map) continue;
    MapBack back{.step = term.step, .sums = {}};
    DualMapSums& to = back.sums;
    for (float** one : {&to.g, &to.g_x, &to.gt, &to.gt_x, &to.g_xt})
      *one = arena_.take(call_.rows * s.out.channels);
    backs.push_back(back);
  }
  share_out(call_.rows, [&](int64_t n, int64_t) { gate(i, backs, g, n); });
  for (MapBack& back : backs) slope(back, dtheta);
  share_out(call_.rows, [&](int64_t n, int64_t) { lower(backs, g, n); });
  release_cotangents(i);
  for (const MapBack& back : backs)
    if (step(back.step).kind == Kind::kPool)
      cotangents_[to_size(back.step)].push_back(
          {std::exchange(out_[to_size(back.step)], nullptr), nullptr});
  const auto plain =
      std::find_if(s.terms.begin(), s.terms.end(), [](const PlanTerm& term) { return !term.map; });
  if (plain == s.terms.end())
    buffers_.give(g);
  else
    cotangents_[to_size(plain->step)].push_back({g, nullptr});
}

}  // namespace retort::nets
