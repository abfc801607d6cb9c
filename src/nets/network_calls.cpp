// The calls of a network: rows are parted into groups, the first engine that accepts the call takes
// them all, and their answers are gathered.
#include <algorithm>

#include "core/sizes.h"
#include "nets/engine.h"

namespace retort::nets {
namespace {

bool grouped(const Inputs& inputs) {
  return inputs.theta.dim() == 2 || !inputs.offsets.empty();
}

/// Rows where every group begins, and the end.
std::vector<int64_t> edges_of(const Inputs& inputs) {
  if (!inputs.offsets.empty()) return inputs.offsets;
  return {0, inputs.images.size(0)};
}

std::vector<Group> groups_of(const Inputs& inputs) {
  const std::vector<int64_t> edges = edges_of(inputs);
  const int64_t groups = std::ssize(edges) - 1;
  TORCH_CHECK(edges.front() == 0 && edges.back() == inputs.images.size(0),
              "offsets run from 0 to the number of images");
  TORCH_CHECK(inputs.theta.dim() == 1 || inputs.theta.size(0) == groups,
              "theta [G, P] needs G + 1 offsets");
  const bool own_state = inputs.state.defined() && inputs.state.dim() == 2;
  std::vector<Group> all;
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t begin = edges[to_size(g)], end = edges[to_size(g + 1)];
    TORCH_CHECK(begin < end, "group ", g, " has no rows");
    all.push_back({inputs.theta.dim() == 2 ? inputs.theta.select(0, g) : inputs.theta,
                   own_state ? inputs.state.select(0, g) : inputs.state,
                   inputs.images.narrow(0, begin, end - begin), inputs.norm});
  }
  return all;
}

std::vector<Group> groups_of(const Inputs& inputs, const losses::Targets& targets,
                             WithRespectTo wrt) {
  TORCH_CHECK(!wrt.targets || targets.values.is_floating_point(), "classes have no derivative");
  std::vector<Group> groups = groups_of(inputs);
  int64_t begin = 0;
  for (Group& group : groups) {
    group.targets = rows_of(targets, begin, group.rows());
    begin += group.rows();
  }
  return groups;
}

template <class Answer>
at::Tensor gather(const std::vector<Answer>& answers, at::Tensor Answer::*field, bool stacked) {
  std::vector<at::Tensor> all;
  for (const Answer& answer : answers) all.push_back(answer.*field);
  if (!all.front().defined()) return {};
  return stacked ? at::stack(all) : at::cat(all);
}

/// One observation's answer to the cotangents of all groups.
Vjp pull_groups(const std::vector<Observation>& seen, const std::vector<int64_t>& edges,
                const std::map<std::string, at::Tensor>& cotangents) {
  std::vector<Vjp> pulled;
  for (size_t g = 0; g < seen.size(); ++g) {
    std::map<std::string, at::Tensor> own;
    for (const auto& [name, value] : cotangents)
      own[name] = name.ends_with(kMoments) ? value.narrow(0, to_int64(g), 1)
                                           : value.narrow(0, edges[g], edges[g + 1] - edges[g]);
    pulled.push_back(seen[g].pullback(own));
  }
  return {gather(pulled, &Vjp::images, false), gather(pulled, &Vjp::theta, true)};
}

}  // namespace

Query Network::query(Work work, const at::Tensor& theta, const at::Tensor& images) const {
  const Shape& s = shape();
  TORCH_CHECK(images.dim() == 4 && images.size(1) == s.channels && images.size(2) == s.height &&
                  images.size(3) == s.width,
              "network '", name(), "' takes images [N, ", s.channels, ", ", s.height, ", ", s.width,
              "], not ", images.sizes());
  TORCH_CHECK(images.scalar_type() == theta.scalar_type(), "theta and images must be of one type");
  return {.work = work,
          .device = images.device(),
          .type = images.scalar_type(),
          .rows = images.size(0),
          .memory = {memory_, bytes_per_image_}};
}

const Engine& Network::engine_for(const Query& query) const {
  for (const auto& engine : engines_)
    if (engine->accepts(query)) return *engine;
  TORCH_CHECK(false, "engine '", engines_.front()->name(), "', which network '", name(),
              "' is restricted to, does not take this call");
}

std::string Network::engine_name(Work work, at::Device device) const {
  return engine_for({.work = work, .device = device}).name();
}

void Network::restrict_to(const std::string& engine) {
  const auto found = std::find_if(engines_.begin(), engines_.end(),
                                  [&](const auto& one) { return one->name() == engine; });
  TORCH_CHECK(found != engines_.end(), "network '", name(), "' has no engine '", engine, "'");
  engines_ = {*found};
}

Observation Network::observe(const Inputs& inputs, const std::vector<std::string>& taps,
                             WithRespectTo wrt) const {
  Query asked = query(Work::kObserve, inputs.theta, inputs.images);
  asked.taps = taps;
  asked.wrt = wrt;
  const Engine& engine = engine_for(asked);
  if (inputs.theta.dim() == 1)
    return engine.observe({.theta = inputs.theta,
                           .state = inputs.state,
                           .images = inputs.images,
                           .norm = inputs.norm,
                           .offsets = inputs.offsets},
                          asked);
  std::vector<Observation> seen;
  for (const Group& group : groups_of(inputs)) seen.push_back(engine.observe(group, asked));
  Observation all;
  for (const std::string& name : taps) {
    std::vector<at::Tensor> values;
    for (const Observation& one : seen) values.push_back(one.taps.at(name));
    all.taps[name] = at::cat(values);
  }
  const bool updated = couples_rows() && inputs.norm == NormMode::kUpdating;
  all.state = updated ? gather(seen, &Observation::state, true) : inputs.state;
  if (wrt.any())
    all.pullback = [seen = std::move(seen), edges = edges_of(inputs)](const auto& cotangents) {
      return pull_groups(seen, edges, cotangents);
    };
  return all;
}

at::Tensor Network::predict(const at::Tensor& theta, const at::Tensor& state,
                            const at::Tensor& images, int64_t chunk) const {
  TORCH_CHECK(theta.dim() == 1, "predict takes one network's theta");
  if (images.size(0) == 0) return at::empty({0, shape().classes}, images.options());
  Query asked = query(Work::kObserve, theta, images);
  asked.taps = {"logits"};
  asked.chunk = rows_at_once(chunk);
  const Group whole{theta, state, images, NormMode::kFrozen};
  return engine_for(asked).observe(whole, asked).taps.at("logits");
}

Gradient Network::gradient(const Inputs& inputs, const losses::Targets& targets, WithRespectTo wrt,
                           int64_t keep_bytes) const {
  Query asked = query(Work::kGradient, inputs.theta, inputs.images);
  asked.loss = targets.kind;
  asked.wrt = wrt;
  asked.keep_bytes = keep_bytes;
  const std::vector<Gradient> answers =
      engine_for(asked).gradient(groups_of(inputs, targets, wrt), asked);
  if (!grouped(inputs)) return answers.front();
  const bool updated = couples_rows() && inputs.norm == NormMode::kUpdating;
  return {gather(answers, &Gradient::loss, true),
          gather(answers, &Gradient::theta, true),
          gather(answers, &Gradient::images, false),
          gather(answers, &Gradient::targets, false),
          gather(answers, &Gradient::logits, false),
          updated ? gather(answers, &Gradient::state, true) : inputs.state,
          answers.front().kept};
}

GradientJvp Network::gradient_jvp(const Inputs& inputs, const losses::Targets& targets,
                                  const at::Tensor& v, WithRespectTo wrt,
                                  const KeptPass* kept) const {
  Query asked = query(Work::kGradientJvp, inputs.theta, inputs.images);
  asked.loss = targets.kind;
  asked.wrt = wrt;
  asked.kept = kept;
  std::vector<Group> groups = groups_of(inputs, targets, wrt);
  TORCH_CHECK(v.dim() == 1 ? inputs.theta.dim() == 1 : v.size(0) == std::ssize(groups),
              "v is [P] as theta, or [G, P]");
  for (int64_t g = 0; g < std::ssize(groups); ++g)
    groups[to_size(g)].direction = v.dim() == 2 ? v.select(0, g) : v;
  std::vector<GradientJvp> answers = engine_for(asked).gradient_jvp(groups, asked);
  if (!wrt.theta)
    for (GradientJvp& answer : answers) answer.theta.reset();
  if (!grouped(inputs)) return answers.front();
  return {gather(answers, &GradientJvp::loss, true), gather(answers, &GradientJvp::theta, true),
          gather(answers, &GradientJvp::images, false),
          gather(answers, &GradientJvp::targets, false)};
}

}  // namespace retort::nets
