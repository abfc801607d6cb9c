// Long: the way there and back of one kind of step stand side by side.
#include "nets/graph/pass.h"

#include <algorithm>

#include "nets/blocked/layout.h"
#include "nets/graph/join.h"

namespace retort::nets {
namespace {

using Kind = PlanStep::Kind;

constexpr double kMomentum = 0.1;

}  // namespace

GraphPass::GraphPass(const Plan& plan, const PackedPlan& packed, Arena& arena, PassCall call)
    : plan_(plan),
      packed_(packed),
      arena_(arena),
      call_(std::move(call)),
      buffers_(arena),
      out_(plan.steps.size()),
      maps_(plan.steps.size()),
      left_(plan.steps.size()),
      cotangents_(plan.steps.size()) {
  for (int64_t i = 0; i < std::ssize(plan.steps); ++i) {
    left_[to_size(i)] = step(i).uses;
    if (step(i).kind == Kind::kJoin) prepare(i);
  }
}

NormCall GraphPass::norm_of(const MapState& map, const PlanStep& conv) const {
  const bool frozen = map.term->norm == NormKind::kBatch;
  return {*map.term,  call_.theta,       frozen ? call_.state : nullptr,
          call_.rows, conv.out.channels, conv.positions()};
}

ByChannel GraphPass::by_channel(bool shared, int64_t channels) {
  const int64_t rows = shared ? 1 : call_.rows;
  return {arena_.take(rows * channels), shared ? 0 : channels};
}

/// Memory for the norms of a join, and coefficients that need no map.
void GraphPass::prepare(int64_t i) {
  for (const PlanTerm& term : step(i).terms) {
    if (!term.map) continue;
    const int64_t channels = step(i).out.channels;
    MapState& map = maps_[to_size(term.step)];
    map.term = &term;
    const NormCall norm = norm_of(map, step(term.step));
    for (ByChannel* one : {&map.found.mean, &map.found.rstd, &map.found.scale, &map.found.level})
      *one = by_channel(norm.shared(), channels);
    if (norm.measures() || call_.moments) {
      map.mean = arena_.take(call_.rows * channels);
      map.squares = arena_.take(call_.rows * channels);
      map.variance = arena_.take(channels);
    }
    if (!norm.measures()) norm_coefficients(norm, {}, map.found, nullptr);
  }
}

/// True where the step behind a convolution can be done image by image.
bool GraphPass::follows_at_once(int64_t conv) const {
  const PlanStep& next = step(conv + 1);
  if (next.kind != Kind::kJoin) return false;
  bool takes = false;
  for (const PlanTerm& term : next.terms) {
    if (!term.map) continue;
    takes = takes || term.step == conv;
    if (norm_of(maps_[to_size(term.step)], step(term.step)).measures()) return false;
  }
  return takes;
}

void GraphPass::measure(int64_t conv, int64_t image) {
  const MapState& map = maps_[to_size(conv)];
  const PlanStep& s = step(conv);
  const int64_t channels = s.out.channels;
  for (int64_t c = 0; c < channels; c += kChannels)
    measure_map(s.positions(), out_[to_size(conv)] + image * s.size() + c * s.positions(),
                map.mean + image * channels + c, map.squares + image * channels + c);
}

void GraphPass::join(int64_t i, int64_t image) {
  const PlanStep& s = step(i);
  const int64_t count = std::ssize(s.terms);
  for (int64_t c = 0; c < s.out.channels; c += kChannels) {
    const int64_t at = image * s.size() + c * s.positions();
    JoinTerm terms[2];
    for (int64_t t = 0; t < count; ++t) {
      const PlanTerm& term = s.terms[to_size(t)];
      const NormCoefficients& found = maps_[to_size(term.step)].found;
      terms[t] = {out_[to_size(term.step)] + at, term.map ? found.scale.of(image) + c : nullptr,
                  term.map ? found.level.of(image) + c : nullptr};
    }
    join_forward(s.positions(), terms, static_cast<int>(count), s.relu, out_[to_size(i)] + at);
  }
}

void GraphPass::forward_conv(int64_t i) {
  const PlanStep& s = step(i);
  const MapState& map = maps_[to_size(i)];
  const bool at_once = follows_at_once(i), measures = map.mean != nullptr;
  out_[to_size(i)] = take(s);
  if (at_once) out_[to_size(i + 1)] = take(step(i + 1));
  const float* input = s.from < 0 ? images_ : out_[to_size(s.from)];
  ConvCall{s, call_.rows, buffers_}.forward(input, packed_.get(i, false), out_[to_size(i)],
                                            [&](int64_t begin, int64_t end) {
                                              for (int64_t n = begin; n < end; ++n) {
                                                if (measures) measure(i, n);
                                                if (at_once) join(i + 1, n);
                                              }
                                            });
  const NormCall norm = norm_of(map, s);
  if (norm.measures()) norm_coefficients(norm, map.maps(), map.found, map.variance);
}

/// Gives memory back after the last use, where nothing is kept.
void GraphPass::release(int64_t i) {
  if (call_.keep || i < 0 || --left_[to_size(i)] > 0) return;
  buffers_.give(out_[to_size(i)]);
}

void GraphPass::forward_step(int64_t i) {
  const PlanStep& s = step(i);
  float*& out = out_[to_size(i)];
  if (s.kind == Kind::kConv) {
    forward_conv(i);
    return release(s.from);
  }
  if (s.kind == Kind::kJoin) {
    if (!out) {
      out = take(s);
      share_out(call_.rows, [&](int64_t n, int64_t) { join(i, n); });
    }
    for (const PlanTerm& term : s.terms) release(term.step);
    return;
  }
  out = take(s);
  const float* in = out_[to_size(s.from)];
  const int64_t places = s.in.height * s.in.width, size = s.in.channels * places;
  share_out(call_.rows, [&](int64_t n, int64_t) {
    for (int64_t c = 0; c < s.in.channels; c += kChannels) {
      const float* from = in + n * size + c * places;
      float* to = out + n * s.size() + c * s.positions();
      if (s.kind == Kind::kPool)
        pool_forward({s.in.height, s.in.width, s.largest}, from, to);
      else
        mean_forward(places, from, to);
    }
  });
  release(s.from);
}

const float* GraphPass::forward(const float* images) {
  images_ = images;
  for (int64_t i = 0; i < std::ssize(plan_.steps); ++i) forward_step(i);
  const PlanStep& last = plan_.steps.back();
  float* features = arena_.take(call_.rows * plan_.features);
  from_blocked(out_.back(), call_.rows, last.out.channels, last.positions(), features);
  return features;
}

void GraphPass::moments(const PlanTerm& term, float* into) const {
  const PlanStep& conv = step(term.step);
  const int64_t channels = conv.out.channels;
  std::vector<double> mean(to_size(channels)), variance(to_size(channels));
  for (size_t g = 0; g + 1 < call_.edges.size(); ++g, into += 2 * channels) {
    moments_of(maps_[to_size(term.step)].maps(), call_.edges[g], call_.edges[g + 1], channels,
               conv.positions(), mean.data(), variance.data());
    for (int64_t k = 0; k < channels; ++k) {
      const double bias = term.bias < 0 ? 0 : static_cast<double>(call_.theta[term.bias + k]);
      into[k] = static_cast<float>(mean[to_size(k)] + bias);
      into[channels + k] = static_cast<float>(variance[to_size(k)]);
    }
  }
}

void GraphPass::update(float* state) const {
  for (const PlanStep& join : plan_.steps)
    for (const PlanTerm& term : join.terms) {
      if (!term.map || term.norm != NormKind::kBatch) continue;
      const PlanStep& conv = step(term.step);
      const MapState& map = maps_[to_size(term.step)];
      const auto n = static_cast<double>(call_.rows * conv.positions());
      TORCH_CHECK(n > 1, term.name, " has one value a channel: no variance");
      const auto move = [](float& value, double towards) {
        value =
            static_cast<float>((1 - kMomentum) * static_cast<double>(value) + kMomentum * towards);
      };
      for (int64_t k = 0; k < conv.out.channels; ++k) {
        const double bias = term.bias < 0 ? 0 : static_cast<double>(call_.theta[term.bias + k]);
        move(state[term.mean + k], static_cast<double>(map.found.mean.of(0)[k]) + bias);
        move(state[term.variance + k], static_cast<double>(map.variance[k]) * n / (n - 1));
      }
    }
}

void GraphPass::backward(const float* dfeatures, const std::map<int64_t, const float*>& dmoments,
                         const PassInto& into) {
  const PlanStep& last = plan_.steps.back();
  float* doutput = take(last);
  to_blocked(dfeatures, call_.rows, last.out.channels, last.positions(), doutput);
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
  std::vector<float*>& own = cotangents_[to_size(i)];
  const int64_t places = s.in.height * s.in.width, size = s.in.channels * places;
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
  if (s.from >= 0) {
    float* din = buffers_.take(call_.rows * s.in.channels * s.in.height * s.in.width);
    conv.back(dmap, packed_.get(i, true), din);
    give_cotangent(s.from, din);
  } else if (into.images) {
    conv.back(dmap, packed_.get(i, true), into.images);
  }
  buffers_.give(out_[to_size(i)]);
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
  const auto plain =
      std::find_if(s.terms.begin(), s.terms.end(), [](const PlanTerm& term) { return !term.map; });
  if (plain == s.terms.end())
    buffers_.give(g);
  else
    give_cotangent(plain->step, g);
}

}  // namespace retort::nets
