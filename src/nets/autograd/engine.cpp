// Only autograd::grad is used: nothing is accumulated into the caller's tensors, and a caller's
// NoGradGuard does not matter.
#include "nets/autograd/engine.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "nets/autograd/pass.h"
#include "nets/flatten.h"

namespace retort::nets {
namespace {

using torch::autograd::grad;

constexpr const char* kName = "autograd";

// Everything that the targets need for a group, its own leaf of the values included.
losses::Targets with_leaf(const losses::Targets& targets, bool wanted) {
  losses::Targets own = targets;
  own.values = wanted ? leaf(targets.values, true) : targets.values.detach();
  return own;
}

std::vector<at::Tensor> inputs_of(const Pass& pass, const losses::Targets& targets,
                                  WithRespectTo wrt) {
  std::vector<at::Tensor> inputs = pass.theta;
  if (wrt.images) inputs.push_back(pass.images);
  if (wrt.targets) inputs.push_back(targets.values);
  return inputs;
}

std::vector<at::Tensor> first(const std::vector<at::Tensor>& all, size_t count) {
  return at::ArrayRef(all).slice(0, count).vec();
}

/// Fills an answer from derivatives in the order theta's slots, images, targets: the last two where
/// they were wanted.
template <class Answer>
void take(const std::vector<at::Tensor>& found, const std::vector<at::Tensor>& inputs,
          const Pass& pass, WithRespectTo wrt, Answer& answer) {
  size_t next = pass.theta.size();
  answer.theta = flatten(first(found, next), pass.theta);
  if (wrt.images) answer.images = or_zeros(found[next], inputs[next]), ++next;
  if (wrt.targets) answer.targets = or_zeros(found[next], inputs[next]);
}

/// Cotangents through a pass, which is used up.
Vjp pull(Pass& pass, WithRespectTo wrt, const std::map<std::string, at::Tensor>& cotangents) {
  TORCH_CHECK(pass.images.defined(), "an observation is pulled back once");
  std::vector<at::Tensor> outputs, weights, inputs;
  for (const auto& [name, cotangent] : cotangents) {
    const at::Tensor& value = pass.taps.at(name);
    if (!value.requires_grad()) continue;
    outputs.push_back(value);
    weights.push_back(cotangent);
  }
  if (wrt.theta) inputs = pass.theta;
  if (wrt.images) inputs.push_back(pass.images);
  std::vector<at::Tensor> found(inputs.size());
  if (!outputs.empty()) found = grad(outputs, inputs, weights, {}, false, true);
  Vjp pulled;
  if (wrt.images) pulled.images = or_zeros(found.back(), pass.images);
  if (wrt.theta) pulled.theta = flatten(first(found, pass.theta.size()), pass.theta);
  pass = Pass();
  return pulled;
}

class AutogradEngine : public Engine {
 public:
  explicit AutogradEngine(std::shared_ptr<const Definition> definition)
      : definition_(std::move(definition)), network_(*definition_) {}

  std::string name() const override { return kName; }
  bool accepts(const Query&) const override { return true; }
  Observation observe(const Group& group, const Query& query) const override;
  std::vector<Gradient> gradient(const std::vector<Group>& groups,
                                 const Query& query) const override;
  std::vector<GradientJvp> gradient_jvp(const std::vector<Group>& groups,
                                        const Query& query) const override;

 private:
  Observation observe_rows(const Group& rows, const Query& query) const;
  Gradient gradient_of_rows(const Group& rows, WithRespectTo wrt) const;
  Gradient gradient_of_group(const Group& group, const Query& query) const;
  GradientJvp jvp_of_group(const Group& group, WithRespectTo wrt) const;

  const std::shared_ptr<const Definition> definition_;
  const Definition& network_;
};

Group rows_of_group(const Group& group, int64_t begin, int64_t count) {
  Group rows = group;
  rows.images = group.images.narrow(0, begin, count);
  if (group.targets.values.defined()) rows.targets = rows_of(group.targets, begin, count);
  return rows;
}

Observation AutogradEngine::observe(const Group& group, const Query& query) const {
  const int64_t rows = group.rows(), most = query.chunk > 0 ? query.chunk : rows;
  if (most >= rows) return observe_rows(group, query);
  std::map<std::string, std::vector<at::Tensor>> values;
  for (int64_t begin = 0; begin < rows; begin += most) {
    const Group piece = rows_of_group(group, begin, std::min(most, rows - begin));
    for (const auto& [name, value] : observe_rows(piece, query).taps) values[name].push_back(value);
  }
  Observation seen;
  for (const auto& [name, all] : values) seen.taps[name] = at::cat(all);
  seen.state = group.state;
  return seen;
}

Observation AutogradEngine::observe_rows(const Group& rows, const Query& query) const {
  const WithRespectTo wrt = query.wrt;
  auto pass = std::make_shared<Pass>(run_pass(network_, rows, {wrt, false, query.taps}));
  Observation seen;
  for (const auto& [name, value] : pass->taps) {
    TORCH_CHECK(value.defined(), "network '", network_.name, "' has no tap '", name, "'");
    seen.taps[name] = value.detach();
  }
  seen.state = pass->state;
  if (wrt.any())
    seen.pullback = [pass, wrt](const auto& cotangents) { return pull(*pass, wrt, cotangents); };
  return seen;
}

Gradient AutogradEngine::gradient_of_rows(const Group& rows, WithRespectTo wrt) const {
  const losses::Targets own = with_leaf(rows.targets, wrt.targets);
  const Pass pass = run_pass(network_, rows, {{.theta = true, .images = wrt.images}});
  at::AutoGradMode recording(true);
  const at::Tensor loss = losses::mean_loss(pass.logits, own);
  const std::vector<at::Tensor> inputs = inputs_of(pass, own, wrt);
  const std::vector<at::Tensor> found = grad({loss}, inputs, {}, {}, false, true);
  Gradient answer;
  answer.loss = loss.detach();
  answer.logits = pass.logits.detach();
  answer.state = pass.state;
  take(found, inputs, pass, wrt, answer);
  return answer;
}

// The mean over all rows is the sum of the pieces' means, each by its share of the rows.
Gradient AutogradEngine::gradient_of_group(const Group& group, const Query& query) const {
  const int64_t rows = group.rows();
  const int64_t most = couples(network_.state, group) ? rows : query.memory.rows(rows);
  if (most >= rows) return gradient_of_rows(group, query.wrt);
  std::vector<at::Tensor> images, targets, logits;
  Gradient all;
  for (int64_t begin = 0; begin < rows; begin += most) {
    const int64_t count = std::min(most, rows - begin);
    Gradient g = gradient_of_rows(rows_of_group(group, begin, count), query.wrt);
    const double share = static_cast<double>(count) / static_cast<double>(rows);
    g.loss = g.loss * share;
    g.theta.mul_(share);
    if (begin == 0) {
      all = g;
    } else {
      all.loss.add_(g.loss);
      all.theta.add_(g.theta);
    }
    if (g.images.defined()) images.push_back(g.images.mul_(share));
    if (g.targets.defined()) targets.push_back(g.targets.mul_(share));
    logits.push_back(g.logits);
  }
  if (!images.empty()) all.images = at::cat(images);
  if (!targets.empty()) all.targets = at::cat(targets);
  all.logits = at::cat(logits);
  return all;
}

std::vector<Gradient> AutogradEngine::gradient(const std::vector<Group>& groups,
                                               const Query& query) const {
  std::vector<Gradient> answers;
  for (const Group& group : groups) answers.push_back(gradient_of_group(group, query));
  return answers;
}

GradientJvp AutogradEngine::jvp_of_group(const Group& group, WithRespectTo wrt) const {
  const losses::Targets own = with_leaf(group.targets, wrt.targets);
  const Pass pass =
      run_pass(network_, group, {{.theta = true, .images = wrt.images}, /*second_order=*/true});
  at::AutoGradMode recording(true);
  const at::Tensor loss = losses::mean_loss(pass.logits, own);
  const std::vector<at::Tensor> g = grad({loss}, pass.theta, {}, {}, true, true);
  const std::vector<at::Tensor> direction =
      unflatten(network_.parameters, group.direction.detach());
  at::Tensor slope = at::zeros({}, group.direction.options());
  for (size_t i = 0; i < g.size(); ++i)
    if (g[i].defined()) slope = slope + (g[i] * direction[i]).sum();
  const std::vector<at::Tensor> inputs = inputs_of(pass, own, wrt);
  std::vector<at::Tensor> found(inputs.size());
  if (slope.requires_grad()) found = grad({slope}, inputs, {}, {}, false, true);
  GradientJvp answer;
  answer.loss = slope.detach();
  take(found, inputs, pass, wrt, answer);
  return answer;
}

std::vector<GradientJvp> AutogradEngine::gradient_jvp(const std::vector<Group>& groups,
                                                      const Query& query) const {
  std::vector<GradientJvp> answers;
  for (const Group& group : groups) answers.push_back(jvp_of_group(group, query.wrt));
  return answers;
}

}  // namespace

EngineEntry about_autograd() {
  return {kName, true, "any network on any device, by libtorch"};
}

std::shared_ptr<const Engine> make_autograd(const std::shared_ptr<const Definition>& definition) {
  return std::make_shared<AutogradEngine>(definition);
}

}  // namespace retort::nets
