// The way there; tangent_back.cpp has the way back.
#include "nets/graph/tangent_pass.h"

#include <algorithm>

#include "nets/graph/features.h"

namespace retort::nets {
namespace {

using Kind = PlanStep::Kind;

}  // namespace

GraphTangentPass::GraphTangentPass(const Plan& plan, const PackedPlan& packed,
                                   const PackedPlan& along, Arena& arena, TangentCall call)
    : plan_(plan),
      packed_(packed),
      along_(along),
      arena_(arena),
      call_(call),
      buffers_(arena),
      out_(plan.steps.size()),
      maps_(plan.steps.size()),
      affine_(plan.steps.size()),
      affine_along_(plan.steps.size()),
      cotangents_(plan.steps.size()) {
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& s = plan.steps[i];
    if (s.kind == Kind::kJoin) prepare(s);
    if (s.kind != Kind::kAffine) continue;
    affine_[i] = affine_maps(s, call_.theta, arena);
    affine_along_[i] = affine_maps(s, call_.direction, arena);
  }
}

NormCall GraphTangentPass::norm_of(const MapState& map, const PlanStep& conv) const {
  return norm_call(*map.term, conv, call_.theta, call_.state, call_.rows);
}

ByChannel GraphTangentPass::by_channel(bool shared, int64_t channels) {
  const int64_t rows = shared ? 1 : call_.rows;
  float* values = arena_.take(rows * channels);
  std::fill_n(values, rows * channels, 0.0f);  // of padding, too
  return {values, shared ? 0 : channels};
}

/// Memory for the norms of a join.
void GraphTangentPass::prepare(const PlanStep& join) {
  for (const PlanTerm& term : join.terms) {
    if (!term.map) continue;
    MapState& map = maps_[to_size(term.step)];
    map.term = &term;
    const bool shared = norm_of(map, step(term.step)).shared();
    NormCoefficients& f = map.found;
    TangentCoefficients& a = map.along;
    for (ByChannel* one :
         {&f.mean, &f.rstd, &f.scale, &f.level, &a.mean, &a.covariance, &a.slope, &a.level})
      *one = by_channel(shared, join.out.channels);
    DualMoments& m = map.moments;
    for (float** one : {&m.mean, &m.squares, &m.tangent_mean, &m.product})
      *one = arena_.take(call_.rows * join.out.channels);
  }
}

void GraphTangentPass::measure(int64_t conv, const float* second, int64_t image) {
  const PlanStep& s = step(conv);
  const DualMoments& m = maps_[to_size(conv)].moments;
  for (int64_t c = 0; c < s.out.channels; c += kChannels) {
    const int64_t at = image * s.size() + c * s.positions(), by_image = image * s.out.channels + c;
    float* z = out_[to_size(conv)] + at;
    measure_dual(
        s.positions(), z, z + call_.rows * s.size(), second ? second + at : nullptr,
        {m.mean + by_image, m.squares + by_image, m.tangent_mean + by_image, m.product + by_image});
  }
}

/// w * [x, x.] in one, and w. * x beside it.
void GraphTangentPass::forward_conv(int64_t i) {
  const PlanStep& s = step(i);
  const int64_t rows = call_.rows;
  const ConvCall one{s, rows, buffers_}, both{s, 2 * rows, buffers_};
  const MapsDone nothing = [](int64_t, int64_t) {};
  float *map = take(s.size()), *second = nullptr;
  out_[to_size(i)] = map;
  const float* input = input_of(s);
  if (s.from < 0) {
    one.forward(input, packed_.get(i, false), map, nothing);
    one.forward(input, along_.get(i, false), map + rows * s.size(), nothing);
  } else {
    second = buffers_.take(rows * s.size());
    both.forward(input, packed_.get(i, false), map, nothing);
    one.forward(input, along_.get(i, false), second, nothing);
  }
  share_out(rows, [&](int64_t n, int64_t) { measure(i, second, n); });
  buffers_.give(second);
  settle(i);
}

/// The coefficients of a map that is measured.
void GraphTangentPass::settle(int64_t i) {
  const MapState& state = maps_[to_size(i)];
  const NormCall norm = norm_of(state, step(i));
  norm_coefficients(norm, state.moments.maps(), state.found, nullptr);
  tangent_coefficients(norm, call_.direction, state.moments, state.found, state.along);
}

void GraphTangentPass::join(int64_t i, int64_t image) {
  const PlanStep& s = step(i);
  const int64_t half = call_.rows * s.size();
  for (int64_t c = 0; c < s.out.channels; c += kChannels) {
    const int64_t at = image * s.size() + c * s.positions();
    DualTerm terms[2];
    int count = 0;
    for (const PlanTerm& term : s.terms) {
      const MapState& map = maps_[to_size(term.step)];
      const float* value = out_[to_size(term.step)] + at;
      const auto of = [&](const ByChannel& all) { return term.map ? all.of(image) + c : nullptr; };
      terms[count++] = {value,
                        value + half,
                        of(map.found.scale),
                        of(map.found.level),
                        of(map.along.slope),
                        of(map.along.level)};
    }
    float* out = out_[to_size(i)] + at;
    join_dual(s.positions(), terms, count, s.relu, out, out + half);
  }
}

void GraphTangentPass::affine(int64_t i, int64_t image) {
  const PlanStep& s = step(i);
  const int64_t half = call_.rows * s.size();
  const float* in = out_[to_size(s.from)] + image * s.size();
  float* out = out_[to_size(i)] + image * s.size();
  affine_forward(s.size(), affine_[to_size(i)], in, s.relu, out);
  affine_tangent(s.size(), affine_[to_size(i)], affine_along_[to_size(i)], in, in + half,
                 s.relu ? out : nullptr, out + half);
}

void GraphTangentPass::pool(int64_t i, int64_t image) {
  const PlanStep& s = step(i);
  const int64_t places = s.in.height * s.in.width, size = s.input_size();
  const PoolMap map{s.in.height, s.in.width, s.largest};
  for (int64_t c = 0; c < s.in.channels; c += kChannels) {
    const float* in = out_[to_size(s.from)] + image * size + c * places;
    const float* in_t = in + call_.rows * size;
    float* out = out_[to_size(i)] + image * s.size() + c * s.positions();
    float* out_t = out + call_.rows * s.size();
    if (s.kind == Kind::kAverage) {
      mean_forward(places, in, out);
      mean_forward(places, in_t, out_t);
    } else {
      pool_forward(map, in, out);
      if (s.largest)
        pool_tangent(map, in, in_t, out_t);
      else
        pool_forward(map, in_t, out_t);
    }
  }
}

const float* GraphTangentPass::forward(const float* images) {
  images_ = images;
  for (int64_t i = 0; i < std::ssize(plan_.steps); ++i) forward_step(i);
  float* features = arena_.take(2 * call_.rows * plan_.features);
  take_features(plan_.steps.back(), 2 * call_.rows, out_.back(), features);
  return features;
}

void GraphTangentPass::forward_step(int64_t i) {
  const PlanStep& s = step(i);
  if (s.kind == Kind::kConv) return forward_conv(i);
  float*& out = out_[to_size(i)];
  const bool is_map = maps_[to_size(i)].term != nullptr;
  out = take(s.size());
  share_out(call_.rows, [&](int64_t n, int64_t) {
    if (s.kind == Kind::kJoin)
      join(i, n);
    else if (s.kind == Kind::kAffine)
      affine(i, n);
    else
      pool(i, n);
    if (is_map) measure(i, nullptr, n);
  });
  if (is_map) settle(i);
}

}  // namespace retort::nets
