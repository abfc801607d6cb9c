#include <algorithm>
#include <utility>

#include "nets/graph/features.h"
#include "nets/graph/join.h"
#include "nets/graph/pass.h"

namespace retort::nets {
namespace {

using Kind = PlanStep::Kind;

}  // namespace

void GraphPass::backward(const float* dfeatures, const std::map<int64_t, const float*>& dmoments,
                         const PassInto& into) {
  const PlanStep& last = plan_.steps.back();
  float* doutput = take(last);
  put_features(last, call_.rows, dfeatures, doutput);
  cotangents_.back() = {doutput};
  for (int64_t i = std::ssize(plan_.steps); i-- > 0;) backward_step(i, dmoments, into);
}

void GraphPass::give_cotangent(int64_t i, float* cotangent) {
  cotangents_[to_size(i)].push_back(cotangent);
}

void GraphPass::backward_step(int64_t i, const std::map<int64_t, const float*>& dmoments,
                              const PassInto& into) {
  const PlanStep& s = step(i);
  if (s.kind == Kind::kJoin) return backward_join(i, dmoments, into.theta);
  if (s.kind == Kind::kConv) return backward_conv(i, into);
  if (s.kind == Kind::kAffine) return backward_affine(i, into.theta);
  std::vector<float*>& own = cotangents_[to_size(i)];
  const int64_t places = s.in.height * s.in.width, size = s.input_size();
  float* din = buffers_.take(call_.rows * size);
  const float* in = out_[to_size(s.from)];
  share_out(call_.rows, [&](int64_t n, int64_t) {
    for (size_t other = 1; other < own.size(); ++other)
      for (int64_t k = n * s.size(); k < (n + 1) * s.size(); ++k) own[0][k] += own[other][k];
    for (int64_t c = 0; c < s.in.channels; c += kChannels) {
      const int64_t at = n * size + c * places;
      const float* dout = own[0] + n * s.size() + c * s.positions();
      if (s.kind == Kind::kPool)
        pool_back({s.in.height, s.in.width, s.largest}, in + at, dout, din + at);
      else
        mean_back(places, dout, din + at);
    }
  });
  for (float* cotangent : own) buffers_.give(cotangent);
  buffers_.give(out_[to_size(i)]);
  give_cotangent(s.from, din);
}

void GraphPass::backward_conv(int64_t i, const PassInto& into) {
  const PlanStep& s = step(i);
  const ConvCall conv{s, call_.rows, buffers_};
  const float* dmap = out_[to_size(i)];
  if (into.theta)
    conv.weight(s.from < 0 ? images_ : out_[to_size(s.from)], dmap, into.theta + s.weight);
  if (s.from < 0) {
    if (into.images) conv.back(dmap, packed_.get(i, true), into.images);
  } else {
    float* din = buffers_.take(call_.rows * s.input_size());
    conv.back(dmap, packed_.get(i, true), din);
    give_cotangent(s.from, din);
  }
  buffers_.give(out_[to_size(i)]);
}

/// Written over the step's cotangent, which only one step has made.
void GraphPass::backward_affine(int64_t i, float* dtheta) {
  const PlanStep& s = step(i);
  float* g = cotangents_[to_size(i)][0];
  const float *in = out_[to_size(s.from)], *out = out_[to_size(i)];
  share_out(call_.rows, [&](int64_t n, int64_t) {
    for (size_t other = 1; other < cotangents_[to_size(i)].size(); ++other)
      add_values(s.size(), cotangents_[to_size(i)][other] + n * s.size(), g + n * s.size());
    if (s.relu) close_gate(s.size(), out + n * s.size(), g + n * s.size());
  });
  if (dtheta) {
    const AffineMaps sums = affine_sums(s, arena_);
    const int64_t block = kChannels * s.positions();
    share_out(s.size() / block, [&](int64_t b, int64_t) {
      for (int64_t n = 0; n < call_.rows; ++n) {
        const int64_t at = n * s.size() + b * block;
        multiply_values(block, g + at, in + at, true, sums.gain + b * block);
        add_values(block, g + at, sums.shift + b * block);
      }
    });
    add_affine(s, sums, dtheta);
  }
  share_out(call_.rows, [&](int64_t n, int64_t) {
    float* own = g + n * s.size();
    multiply_values(s.size(), own, affine_[to_size(i)].gain, false, own);
  });
  buffers_.give(out_[to_size(i)]);
  give_cotangent(s.from, g);
}

/// The slopes of a map from its sums, and its norm's parameters.
void GraphPass::slope(MapBack& back, const std::map<int64_t, const float*>& dmoments,
                      float* dtheta) {
  const MapState& map = maps_[to_size(back.step)];
  const NormCall norm = norm_of(map, step(back.step));
  const auto given = dmoments.find(back.step);
  const bool moments = given != dmoments.end();
  const bool shared = norm.shared() && (!moments || call_.edges.size() == 2);
  for (ByChannel* one : {&back.slopes.p, &back.slopes.q, &back.slopes.r})
    *one = by_channel(shared, norm.channels);
  const MapSums sums{back.sum, back.product};
  norm_slopes(norm, sums, map.found, back.slopes);
  if (moments)
    add_moment_slopes(norm, map.maps(), call_.edges, given->second, map.found, back.slopes);
  if (dtheta) add_norm_parameters(norm, sums, map.maps(), map.found, back.slopes, dtheta);
}

/// One image's cotangent of the sum, written over the first of the join's.
void GraphPass::gate(int64_t i, const std::vector<MapBack>& backs, const float* second, float* g,
                     int64_t image) {
  const PlanStep& s = step(i);
  const int64_t channels = s.out.channels;
  for (int64_t c = 0; c < channels; c += kChannels) {
    const int64_t at = image * s.size() + c * s.positions();
    GateSums sums[2];
    int count = 0;
    for (const MapBack& back : backs) {
      if (!back.sum) continue;
      const int64_t by_image = image * channels + c;
      sums[count++] = {out_[to_size(back.step)] + at,
                       maps_[to_size(back.step)].found.mean.of(image) + c, back.sum + by_image,
                       back.product + by_image};
    }
    join_gate(s.positions(), g + at, second ? second + at : nullptr,
              s.relu ? out_[to_size(i)] + at : nullptr, g + at, sums, count);
  }
}

/// One image's cotangents of maps, written over them.
void GraphPass::lower(const std::vector<MapBack>& backs, const float* g, int64_t image) {
  for (const MapBack& back : backs) {
    const PlanStep& s = step(back.step);
    const ByChannel& mean = maps_[to_size(back.step)].found.mean;
    const auto& [p, q, r] = back.slopes;
    for (int64_t c = 0; c < s.out.channels; c += kChannels) {
      const int64_t at = image * s.size() + c * s.positions();
      join_back(s.positions(), g + at,
                {p.of(image) + c, q.of(image) + c, mean.of(image) + c, r.of(image) + c},
                out_[to_size(back.step)] + at);
    }
  }
}

void GraphPass::backward_join(int64_t i, const std::map<int64_t, const float*>& dmoments,
                              float* dtheta) {
  const PlanStep& s = step(i);
  const std::vector<float*>& own = cotangents_[to_size(i)];
  float *g = own[0], *second = own.size() > 1 ? own[1] : nullptr;
  std::vector<MapBack> backs;
  bool summed = false;
  for (const PlanTerm& term : s.terms) {
    if (!term.map) continue;
    MapBack back{.step = term.step};
    if (dtheta || norm_of(maps_[to_size(term.step)], step(term.step)).measures()) {
      back.sum = arena_.take(call_.rows * s.out.channels);
      back.product = arena_.take(call_.rows * s.out.channels);
      summed = true;
    }
    backs.push_back(back);
  }
  if (summed) share_out(call_.rows, [&](int64_t n, int64_t) { gate(i, backs, second, g, n); });
  for (MapBack& back : backs) slope(back, dmoments, dtheta);
  share_out(call_.rows, [&](int64_t n, int64_t) {
    if (!summed) gate(i, backs, second, g, n);
    lower(backs, g, n);
  });
  buffers_.give(second);
  buffers_.give(out_[to_size(i)]);
  for (const MapBack& back : backs)
    if (step(back.step).kind == Kind::kPool)
      give_cotangent(back.step, std::exchange(out_[to_size(back.step)], nullptr));
  const auto plain =
      std::find_if(s.terms.begin(), s.terms.end(), [](const PlanTerm& term) { return !term.map; });
  if (plain == s.terms.end())
    buffers_.give(g);
  else
    give_cotangent(plain->step, g);
}

}  // namespace retort::nets
