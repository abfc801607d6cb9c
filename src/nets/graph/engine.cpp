// The calls of the engine: one pass over all rows of a group, and back.
#include <algorithm>
#include <optional>

#include "nets/blocked/head.h"
#include "nets/graph/factory.h"
#include "nets/graph/pass.h"
#include "nets/graph/second_order.h"

namespace retort::nets {
namespace {

constexpr const char* kName = "graph";
constexpr int64_t kForwardRows = 128;  ///< of a pass without a way back, at most

/// The norm whose moments a tap names; null where there is no such BatchNorm.
const PlanTerm* moments_of_tap(const Plan& plan, const std::string& tap) {
  for (const PlanStep& step : plan.steps)
    for (const PlanTerm& term : step.terms)
      if (term.norm == NormKind::kBatch && tap == term.name + kMoments) return &term;
  return nullptr;
}

/// A pass over a group's rows, and what it points into.
class Run {
 public:
  Run(std::shared_ptr<GraphSpace> space, std::shared_ptr<const GraphWeights> weights,
      const Group& group, WithRespectTo wrt, bool moments)
      : space_(std::move(space)),
        weights_(std::move(weights)),
        images_(held(group.images)),
        state_(held(group.state)),
        frozen_(frozen_state(space_->plan, group)),
        mode_(group.norm),
        edges_(group.offsets),
        wrt_(wrt),
        lease_(space_->arenas.lease()) {
    if (edges_.empty()) edges_ = {0, rows()};
    pass_.emplace(space_->plan, weights_->packed, *lease_,
                  PassCall{values_of(weights_->theta), values_of(frozen_), rows(), edges_, moments,
                           wrt.any()});
  }

  int64_t rows() const { return images_.size(0); }
  const std::vector<int64_t>& edges() const { return edges_; }
  void forward() {
    features = pass_->forward(values_of(images_));
    logits = head(space_->head, values_of(weights_->theta), features, rows());
  }
  at::Tensor moments(const PlanTerm& term) const {
    const PlanStep& map = space_->plan.steps[to_size(term.step)];
    at::Tensor found = at::empty({std::ssize(edges_) - 1, 2, map.out.channels});
    pass_->moments(term, found.data_ptr<float>());
    return found.narrow(2, 0, map.real).contiguous();
  }
  /// The running state after the pass, where it moves; else what it was.
  at::Tensor state(const at::Tensor& before) const {
    if (mode_ != NormMode::kUpdating || !space_->plan.has_statistics()) return before;
    const PaddedLayout& layout = space_->plan.state;
    at::Tensor after = layout.padded(state_).clone();
    pass_->update(after.data_ptr<float>());
    return layout.plain(after);
  }
  /// Cotangents of logits (or none), of features (or none) and of moments to those asked for.
  Vjp backward(const at::Tensor& dlogits, const at::Tensor& dfeatures,
               const std::map<int64_t, const float*>& dmoments) {
    Vjp pulled;
    if (wrt_.theta) pulled.theta = at::zeros_like(weights_->theta);
    if (wrt_.images) pulled.images = at::empty_like(images_);
    const at::Tensor df = dfeatures.defined() ? dfeatures.to(at::kFloat).clone()
                                              : at::zeros({rows(), space_->plan.features});
    const PassInto into{wrt_.theta ? pulled.theta.data_ptr<float>() : nullptr,
                        wrt_.images ? pulled.images.data_ptr<float>() : nullptr};
    if (dlogits.defined())
      head_back(space_->head, values_of(weights_->theta), values_of(dlogits), features, rows(),
                into.theta, df.data_ptr<float>(), true);
    pass_->backward(values_of(df), dmoments, into);
    pulled.theta = space_->plan.theta.plain(pulled.theta);
    return pulled;
  }

  const float* features = nullptr;
  at::Tensor logits;

 private:
  const std::shared_ptr<GraphSpace> space_;
  const std::shared_ptr<const GraphWeights> weights_;
  const at::Tensor images_, state_, frozen_;
  const NormMode mode_;
  std::vector<int64_t> edges_;
  const WithRespectTo wrt_;
  ArenaPool::Lease lease_;
  std::optional<GraphPass> pass_;
};

class GraphEngine : public Engine {
 public:
  GraphEngine(Plan plan, BlockedNetwork head) : space_(std::make_shared<GraphSpace>()) {
    space_->plan = std::move(plan);
    space_->head = std::move(head);
  }

  std::string name() const override { return kName; }
  bool accepts(const Query& query) const override;
  Observation observe(const Group& group, const Query& query) const override;
  std::vector<Gradient> gradient(const std::vector<Group>& groups,
                                 const Query& query) const override;
  std::vector<GradientJvp> gradient_jvp(const std::vector<Group>& groups,
                                        const Query& query) const override {
    return graph_jvp(*space_, groups, query);
  }

 private:
  Observation observe_rows(const std::shared_ptr<const GraphWeights>& weights, const Group& group,
                           const Query& query) const;
  Gradient gradient_of(const std::shared_ptr<const GraphWeights>& weights, const Group& group,
                       const Query& query) const;
  Gradient gradient_in_pieces(const std::shared_ptr<const GraphWeights>& weights,
                              const Group& group, const Query& query) const;

  const std::shared_ptr<GraphSpace> space_;
};

bool GraphEngine::accepts(const Query& query) const {
  if (!query.device.is_cpu() || query.type != at::kFloat || query.rows == 0) return false;
  if (query.work == Work::kGradient) return true;
  if (query.work == Work::kGradientJvp) return query.loss == losses::Kind::kCrossEntropy;
  return std::all_of(query.taps.begin(), query.taps.end(), [&](const std::string& tap) {
    return tap == "logits" || tap == "features" || moments_of_tap(space_->plan, tap);
  });
}

Observation GraphEngine::observe(const Group& group, const Query& query) const {
  const at::NoGradGuard no_graph;
  const auto weights = std::make_shared<const GraphWeights>(*space_, group.theta, query.wrt);
  const int64_t rows = group.rows();
  int64_t most = rows;
  if (query.chunk > 0) most = std::min({rows, query.chunk, kForwardRows});
  if (most == rows) return observe_rows(weights, group, query);
  std::map<std::string, std::vector<at::Tensor>> values;
  for (int64_t begin = 0; begin < rows; begin += most) {
    const Group piece = rows_of_group(group, begin, std::min(most, rows - begin));
    for (const auto& [name, value] : observe_rows(weights, piece, query).taps)
      values[name].push_back(value);
  }
  Observation seen;
  for (const auto& [name, all] : values) seen.taps[name] = at::cat(all);
  seen.state = group.state;
  return seen;
}

Observation GraphEngine::observe_rows(const std::shared_ptr<const GraphWeights>& weights,
                                      const Group& group, const Query& query) const {
  const bool moments = std::any_of(query.taps.begin(), query.taps.end(),
                                   [](const std::string& tap) { return tap.ends_with(kMoments); });
  auto run = std::make_shared<Run>(space_, weights, group, query.wrt, moments);
  run->forward();
  Observation seen;
  for (const std::string& tap : query.taps)
    if (const PlanTerm* term = moments_of_tap(space_->plan, tap))
      seen.taps[tap] = run->moments(*term);
    else if (tap == "logits")
      seen.taps[tap] = run->logits;
    else
      seen.taps[tap] =
          at::from_blob(const_cast<float*>(run->features), {group.rows(), space_->plan.features})
              .clone();
  seen.state = run->state(group.state);
  if (!query.wrt.any()) return seen;
  seen.pullback = [run, space = space_](const std::map<std::string, at::Tensor>& given) mutable {
    TORCH_CHECK(run, "an observation is pulled back once");
    const at::NoGradGuard none;
    at::Tensor logits, features;
    std::vector<at::Tensor> kept;
    std::map<int64_t, const float*> dmoments;
    for (const auto& [tap, value] : given) {
      const PlanTerm* term = moments_of_tap(space->plan, tap);
      const at::Tensor plain = value.detach().to(at::kFloat).contiguous();
      if (term) {
        const PlanStep& map = space->plan.steps[to_size(term->step)];
        kept.push_back(at::constant_pad_nd(plain, {0, map.out.channels - map.real}).contiguous());
        dmoments[term->step] = values_of(kept.back());
      } else {
        (tap == "logits" ? logits : features) = plain;
      }
    }
    Vjp pulled = run->backward(logits, features, dmoments);
    run.reset();
    return pulled;
  };
  return seen;
}

Gradient GraphEngine::gradient_of(const std::shared_ptr<const GraphWeights>& weights,
                                  const Group& group, const Query& query) const {
  const WithRespectTo wrt{.theta = true, .images = query.wrt.images};
  Run run(space_, weights, group, wrt, false);
  run.forward();
  const HeadLoss loss = head_loss(run.logits, group.targets, 1.0, {.targets = query.wrt.targets});
  Gradient answer;
  answer.loss = loss.loss;
  answer.logits = run.logits;
  answer.targets = loss.targets;
  answer.state = run.state(group.state);
  const Vjp pulled = run.backward(loss.logits, {}, {});
  answer.theta = pulled.theta;
  answer.images = pulled.images;
  return answer;
}

// The mean over all rows is the sum of the pieces' means, each by its share of the rows.
Gradient GraphEngine::gradient_in_pieces(const std::shared_ptr<const GraphWeights>& weights,
                                         const Group& group, const Query& query) const {
  const int64_t rows = group.rows();
  const int64_t most = rows_of_pass(space_->plan, group, query.memory);
  if (most >= rows) return gradient_of(weights, group, query);
  std::vector<at::Tensor> images, targets, logits;
  Gradient all{at::zeros({}), at::zeros_like(group.theta), {}, {}, {}, group.state};
  for (int64_t begin = 0; begin < rows; begin += most) {
    const int64_t count = std::min(most, rows - begin);
    const Gradient g = gradient_of(weights, rows_of_group(group, begin, count), query);
    const double share = static_cast<double>(count) / static_cast<double>(rows);
    all.loss.add_(g.loss, share);
    all.theta.add_(g.theta, share);
    if (g.images.defined()) images.push_back(g.images * share);
    if (g.targets.defined()) targets.push_back(g.targets * share);
    logits.push_back(g.logits);
  }
  if (!images.empty()) all.images = at::cat(images);
  if (!targets.empty()) all.targets = at::cat(targets);
  all.logits = at::cat(logits);
  return all;
}

std::vector<Gradient> GraphEngine::gradient(const std::vector<Group>& groups,
                                            const Query& query) const {
  const at::NoGradGuard no_graph;
  const WithRespectTo wrt{.theta = true, .images = query.wrt.images};
  std::vector<Gradient> answers;
  std::shared_ptr<const GraphWeights> weights;
  for (const Group& group : groups) {
    if (!weights || !group.theta.is_same(groups[answers.size() - 1].theta))
      weights.reset(), weights = std::make_shared<const GraphWeights>(*space_, group.theta, wrt);
    answers.push_back(gradient_in_pieces(weights, group, query));
  }
  return answers;
}

}  // namespace

EngineEntry about_graph() {
  return {kName, true,
          "Winograd's convolutions and norms on Highway: networks of convolutions, norms, ReLU, "
          "shortcuts and pools on a CPU"};
}

std::shared_ptr<const Engine> make_graph(const std::shared_ptr<const Definition>& definition) {
  auto plan = make_plan(*definition);
  if (!plan) return nullptr;
  BlockedNetwork head;
  head.features = plan->features, head.classes = plan->classes;
  head.head_weight = plan->head_weight, head.head_bias = plan->head_bias;
  head.parameters = plan->theta.size();
  return std::make_shared<GraphEngine>(std::move(*plan), std::move(head));
}

}  // namespace retort::nets
