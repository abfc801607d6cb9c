// Long: the way there and back of one kind of step stand side by side, as in pass.cpp.
#include "nets/graph/tangent_pass.h"

#include <algorithm>

#include "nets/blocked/layout.h"

namespace retort::nets {
namespace {

using Kind = PlanStep::Kind;

void add(int64_t count, const float* from, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] += from[i];
}

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
      cotangents_(plan.steps.size()) {
  for (const PlanStep& s : plan.steps)
    if (s.kind == Kind::kJoin) prepare(s);
}

NormCall GraphTangentPass::norm_of(const MapState& map, const PlanStep& conv) const {
  const bool frozen = map.term->norm == NormKind::kBatch;
  return {*map.term,  call_.theta,       frozen ? call_.state : nullptr,
          call_.rows, conv.out.channels, conv.positions()};
}

ByChannel GraphTangentPass::by_channel(bool shared, int64_t channels) {
  return {arena_.take((shared ? 1 : call_.rows) * channels), shared ? 0 : channels};
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
  if (s.from < 0) {
    one.forward(images_, packed_.get(i, false), map, nothing);
    one.forward(images_, along_.get(i, false), map + rows * s.size(), nothing);
  } else {
    second = buffers_.take(rows * s.size());
    both.forward(out_[to_size(s.from)], packed_.get(i, false), map, nothing);
    one.forward(out_[to_size(s.from)], along_.get(i, false), second, nothing);
  }
  share_out(rows, [&](int64_t n, int64_t) { measure(i, second, n); });
  buffers_.give(second);
  const MapState& state = maps_[to_size(i)];
  const NormCall norm = norm_of(state, s);
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

void GraphTangentPass::pool(int64_t i, int64_t image) {
  const PlanStep& s = step(i);
  const int64_t places = s.in.height * s.in.width, size = s.in.channels * places;
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
  for (int64_t i = 0; i < std::ssize(plan_.steps); ++i) {
    if (step(i).kind == Kind::kConv) {
      forward_conv(i);
      continue;
    }
    out_[to_size(i)] = take(step(i).size());
    share_out(call_.rows, [&](int64_t n, int64_t) {
      if (step(i).kind == Kind::kJoin)
        join(i, n);
      else
        pool(i, n);
    });
  }
  const PlanStep& last = plan_.steps.back();
  float* features = arena_.take(2 * call_.rows * plan_.features);
  from_blocked(out_.back(), 2 * call_.rows, last.out.channels, last.positions(), features);
  return features;
}

void GraphTangentPass::backward(const float* dfeatures, const PassInto& into) {
  const PlanStep& last = plan_.steps.back();
  const int64_t rows = call_.rows;
  float* doutput = take(last.size());
  to_blocked(dfeatures + rows * plan_.features, rows, last.out.channels, last.positions(), doutput);
  to_blocked(dfeatures, rows, last.out.channels, last.positions(), doutput + rows * last.size());
  cotangents_.back() = {{doutput, nullptr}};
  for (int64_t i = std::ssize(plan_.steps); i-- > 0;) {
    if (step(i).kind == Kind::kJoin)
      backward_join(i, into.theta);
    else if (step(i).kind == Kind::kConv)
      backward_conv(i, into);
    else
      backward_pool(i);
  }
}

void GraphTangentPass::backward_pool(int64_t i) {
  const PlanStep& s = step(i);
  const int64_t rows = call_.rows, places = s.in.height * s.in.width;
  const int64_t size = s.in.channels * places;
  const std::vector<Cotangent>& own = cotangents_[to_size(i)];
  float *sum = own[0].both, *din = take(size);
  share_out(2 * rows, [&](int64_t n, int64_t) {  // derivatives, then values
    for (const Cotangent& one : own) {
      if (one.both != sum) add(s.size(), one.both + n * s.size(), sum + n * s.size());
      if (one.part && n < rows) add(s.size(), one.part + n * s.size(), sum + n * s.size());
    }
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
  for (const Cotangent& one : own) buffers_.give(one.both), buffers_.give(one.part);
  buffers_.give(out_[to_size(i)]);
  cotangents_[to_size(s.from)].push_back({din, nullptr});
}

/// dw. = corr([x, x.], [dz., dz]); dx. = w^T dz. + w.^T dz.
void GraphTangentPass::backward_conv(int64_t i, const PassInto& into) {
  const PlanStep& s = step(i);
  const int64_t rows = call_.rows, size = s.in.channels * s.in.height * s.in.width;
  const ConvCall one{s, rows, buffers_}, both{s, 2 * rows, buffers_};
  float* dmap = out_[to_size(i)];
  if (s.from < 0) {
    one.weight(images_, dmap, into.theta + s.weight);
    if (into.images) backward_images(i, into.images);
  } else {
    both.weight(out_[to_size(s.from)], dmap, into.theta + s.weight);
    Cotangent din{take(size), buffers_.take(rows * size)};
    both.back(dmap, packed_.get(i, true), din.both);
    one.back(dmap + rows * s.size(), along_.get(i, true), din.part);
    cotangents_[to_size(s.from)].push_back(din);
  }
  buffers_.give(dmap);
}

void GraphTangentPass::backward_images(int64_t i, float* images) {
  const PlanStep& s = step(i);
  const int64_t count = call_.rows * s.in.channels * s.in.height * s.in.width;
  const ConvCall conv{s, call_.rows, buffers_};
  const float* dmap = out_[to_size(i)];
  float* part = buffers_.take(count);
  conv.back(dmap, packed_.get(i, true), images);
  conv.back(dmap + call_.rows * s.size(), along_.get(i, true), part);
  add(count, part, images);
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
  const std::vector<Cotangent>& own = cotangents_[to_size(i)];
  float* g = own[0].both;
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
  buffers_.give(own[0].part);
  for (size_t other = 1; other < own.size(); ++other)
    buffers_.give(own[other].both), buffers_.give(own[other].part);
  buffers_.give(out_[to_size(i)]);
  const auto plain =
      std::find_if(s.terms.begin(), s.terms.end(), [](const PlanTerm& term) { return !term.map; });
  if (plain == s.terms.end())
    buffers_.give(g);
  else
    cotangents_[to_size(plain->step)].push_back({g, nullptr});
}

}  // namespace retort::nets
