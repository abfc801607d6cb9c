// The way there; pass_back.cpp has the way back.
#include "nets/graph/pass.h"

#include <algorithm>

#include "nets/graph/affine.h"
#include "nets/graph/features.h"
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
      affine_(plan.steps.size()),
      left_(plan.steps.size()),
      cotangents_(plan.steps.size()) {
  for (int64_t i = 0; i < std::ssize(plan.steps); ++i) {
    left_[to_size(i)] = step(i).uses;
    if (step(i).kind == Kind::kJoin) prepare(i);
    if (step(i).kind == Kind::kAffine)
      affine_[to_size(i)] = affine_maps(step(i), call_.theta, arena);
  }
}

NormCall GraphPass::norm_of(const MapState& map, const PlanStep& conv) const {
  return norm_call(*map.term, conv, call_.theta, call_.state, call_.rows);
}

ByChannel GraphPass::by_channel(bool shared, int64_t channels) {
  const int64_t rows = shared ? 1 : call_.rows;
  float* values = arena_.take(rows * channels);
  std::fill_n(values, rows * channels, 0.0f);  // of padding, too
  return {values, shared ? 0 : channels};
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
  settle(i);
}

/// The coefficients of a map that is measured.
void GraphPass::settle(int64_t i) {
  const MapState& map = maps_[to_size(i)];
  const NormCall norm = norm_of(map, step(i));
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
  const bool measures = maps_[to_size(i)].mean != nullptr;
  share_out(call_.rows, [&](int64_t n, int64_t) {
    if (s.kind == Kind::kAffine)
      affine_forward(s.size(), affine_[to_size(i)], out_[to_size(s.from)] + n * s.size(), s.relu,
                     out + n * s.size());
    else
      pool(i, n);
    if (measures) measure(i, n);
  });
  if (maps_[to_size(i)].term) settle(i);
  release(s.from);
}

void GraphPass::pool(int64_t i, int64_t image) {
  const PlanStep& s = step(i);
  const int64_t places = s.in.height * s.in.width;
  for (int64_t c = 0; c < s.in.channels; c += kChannels) {
    const float* from = out_[to_size(s.from)] + image * s.input_size() + c * places;
    float* to = out_[to_size(i)] + image * s.size() + c * s.positions();
    if (s.kind == Kind::kPool)
      pool_forward({s.in.height, s.in.width, s.largest}, from, to);
    else
      mean_forward(places, from, to);
  }
}

const float* GraphPass::forward(const float* images) {
  images_ = images;
  for (int64_t i = 0; i < std::ssize(plan_.steps); ++i) forward_step(i);
  const PlanStep& last = plan_.steps.back();
  float* features = arena_.take(call_.rows * plan_.features);
  take_features(last, call_.rows, out_.back(), features);
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

}  // namespace retort::nets
