// Deals rows out, runs the layers forward and back, and meets them at the loss. Rows that do not
// influence each other are cut into micro batches that fit into caches (nets/row_lanes.h).
#include "nets/sequential/engine.h"

#include "nets/flatten.h"
#include "nets/row_lanes.h"
#include "nets/sequential/dual_head.h"
#include "nets/sequential/dual_layers.h"

namespace retort::nets {
namespace {

constexpr const char* kName = "sequential";
constexpr int64_t kBatchRows = 16;  ///< as many as fit into caches, about

/// One call.
class Sweep {
 public:
  Sweep(const Definition& network, const std::vector<Group>& groups, const Query& query)
      : network_(network), groups_(groups), wrt_(query.wrt) {
    std::vector<int64_t> sizes;
    std::vector<bool> whole;
    for (const Group& group : groups) {
      sizes.push_back(group.rows());
      whole.push_back(!query.device.is_cpu() || couples(network_.state, group));
      GradientJvp answer;
      answer.loss = at::zeros({}, group.theta.options());
      answer.theta = at::zeros_like(group.direction);
      if (wrt_.images) answer.images = at::empty_like(group.images);
      if (wrt_.targets) answer.targets = at::empty_like(group.targets.values);
      answers_.push_back(answer);
    }
    lanes_ = cut_rows(sizes, row_limits(query.memory, kBatchRows), whole);
  }

  std::vector<GradientJvp> run() {
    LaneSums sums(lanes_, groups_.size(), answers_.front().theta);
    std::vector<at::Tensor> losses(lanes_.batches.size());
    const auto work = [&](size_t i, size_t lane) {
      const at::Tensor theta = at::zeros_like(answers_.front().theta);
      losses[i] = one(lanes_.batches[i], theta);
      sums.of(lane).add_(theta);
      sums.done(i, lane);
    };
    if (lanes_.batches.size() == 1)
      work(0, 0);  // on all threads
    else
      each_batch(lanes_, work);
    const std::vector<at::Tensor> thetas = sums.take();
    for (size_t g = 0; g < groups_.size(); ++g) answers_[g].theta = thetas[g];
    for (size_t i = 0; i < losses.size(); ++i)
      answers_[lanes_.batches[i].group].loss.add_(losses[i]);
    return std::move(answers_);
  }

 private:
  /// The loss of a batch; fills its sum [P] of zeros, and its rows of the other answers.
  at::Tensor one(const MicroBatch& batch, const at::Tensor& theta) {
    const at::NoGradGuard no_graph;
    const Group& group = groups_[batch.group];
    const at::Tensor images = group.images.detach().narrow(0, batch.begin, batch.rows());
    DualParameters p;
    p.theta = unflatten(network_.parameters, group.theta.detach());
    p.tangent = unflatten(network_.parameters, group.direction.detach());
    p.product = unflatten(network_.parameters, theta);
    p.norm = group.norm;
    if (network_.state.size > 0 && p.norm == NormMode::kFrozen)
      p.state = unflatten(network_.state, group.state.detach());
    auto layers = dual_layers(network_.ops, p);
    Dual x{images, at::Tensor()};
    for (const auto& layer : layers) x = layer->forward(x);
    const double share = 1.0 / static_cast<double>(group.rows());
    const DualHead head(x, rows_of(group.targets, batch.begin, batch.rows()), share);
    Dual d = head.logits;
    for (size_t i = layers.size(); i-- > 0;) {
      const Below last = wrt_.images ? Below::kTangent : Below::kNothing;
      d = layers[i]->backward(d, i == 0 ? last : Below::kBoth);
      layers[i].reset();
    }
    GradientJvp& answer = answers_[batch.group];
    const auto fill = [&](const at::Tensor& all, const at::Tensor& rows) {
      all.narrow(0, batch.begin, batch.rows()).copy_(rows);
    };
    if (wrt_.images) fill(answer.images, d.tangent.view_as(images));
    if (wrt_.targets) fill(answer.targets, head.targets);
    return head.loss;
  }

  const Definition& network_;
  const std::vector<Group>& groups_;
  const WithRespectTo wrt_;
  Lanes lanes_;
  std::vector<GradientJvp> answers_;
};

class SequentialEngine : public Engine {
 public:
  explicit SequentialEngine(std::shared_ptr<const Definition> definition)
      : definition_(std::move(definition)) {}

  std::string name() const override { return kName; }
  bool accepts(const Query& query) const override {
    return query.work == Work::kGradientJvp && query.loss == losses::Kind::kCrossEntropy;
  }
  std::vector<GradientJvp> gradient_jvp(const std::vector<Group>& groups,
                                        const Query& query) const override {
    return Sweep(*definition_, groups, query).run();
  }

 private:
  const std::shared_ptr<const Definition> definition_;
};

}  // namespace

EngineEntry about_sequential() {
  return {kName, true,
          "second-order products of networks in which every operation takes the one before it, "
          "in one sweep"};
}

std::shared_ptr<const Engine> make_sequential(const std::shared_ptr<const Definition>& definition) {
  if (!definition->sequential || definition->ops.empty()) return nullptr;
  return std::make_shared<SequentialEngine>(definition);
}

}  // namespace retort::nets
