// Deals rows out, runs the layers forward and back, and meets them at the loss.
#include "nets/sequential/sweep.h"

#include "nets/row_lanes.h"
#include "nets/sequential/dual_layers.h"
#include "retort/core/device.h"

namespace retort::nets {
namespace {

class Sweep {
 public:
  Sweep(const ChainNetwork& network, const std::vector<SweepPart>& parts, Wanted wanted)
      : network_(network), parts_(parts), wanted_(wanted) {
    for (const SweepPart& part : parts) {
      TORCH_CHECK(!wanted.targets || part.targets.values.is_floating_point(),
                  "classes have no derivative");
      TORCH_CHECK(part.part.images.scalar_type() == part.part.theta.scalar_type(),
                  "theta and images must be of one type");
      Directional answer;
      answer.loss = at::zeros({}, part.part.theta.options());
      answer.theta = at::zeros_like(part.along);
      if (wanted.images) answer.images = at::empty_like(part.part.images);
      if (wanted.targets) answer.targets = at::empty_like(part.targets.values);
      answers_.push_back(answer);
    }
  }

  std::vector<Directional> run() {
    const Lanes lanes = lanes_of();
    LaneSums sums(lanes, parts_.size(), answers_.front().theta);
    std::vector<at::Tensor> losses(lanes.pieces.size());
    const auto work = [&](size_t i, int64_t lane) {
      const at::Tensor theta = at::zeros_like(answers_.front().theta);
      losses[i] = one(lanes.pieces[i], theta);
      sums.of(lane).add_(theta);
      sums.done(i, lane);
    };
    if (lanes.pieces.size() == 1)
      work(0, 0);  // on all threads
    else
      each_piece(lanes, work);
    const std::vector<at::Tensor> thetas = sums.take();
    for (size_t p = 0; p < parts_.size(); ++p) answers_[p].theta = thetas[p];
    for (size_t i = 0; i < losses.size(); ++i) answers_[lanes.pieces[i].part].loss.add_(losses[i]);
    return std::move(answers_);
  }

 private:
  Lanes lanes_of() const {
    std::vector<int64_t> sizes;
    std::vector<bool> whole;
    for (const SweepPart& one : parts_) {
      sizes.push_back(one.part.images.size(0));
      whole.push_back(!one.part.images.device().is_cpu() || couples(network_.state, one.part));
    }
    return cut_rows(sizes, network_.limits, whole);
  }

  /// The loss of a piece; fills its sum [P] of zeros, and its rows of the other answers.
  at::Tensor one(const Piece& piece, const at::Tensor& theta) {
    const at::NoGradGuard no_graph;
    const SweepPart& part = parts_[piece.part];
    const int64_t count = piece.rows();
    const auto rows = [&](const at::Tensor& x) { return x.detach().narrow(0, piece.begin, count); };
    DualParameters p;
    p.theta = cut(network_.parameters, part.part.theta.detach());
    p.along = cut(network_.parameters, part.along.detach());
    p.product = cut(network_.parameters, theta);
    p.norm = part.part.norm;
    if (network_.state.size > 0 && p.norm == NormMode::kFrozen)
      p.state = cut(network_.state, part.part.state.detach());
    auto layers = dual_layers(network_.steps, p);
    Dual x{rows(part.part.images), at::Tensor()};
    for (const auto& layer : layers) x = layer->forward(x);
    const double share = 1.0 / static_cast<double>(part.part.images.size(0));
    const DualHead head(x, rows_of(part.targets, piece.begin, count), share);
    Dual d = head.logits;
    for (size_t i = layers.size(); i-- > 0;) {
      const Below last = wanted_.images ? Below::kTangent : Below::kNothing;
      d = layers[i]->backward(d, i == 0 ? last : Below::kBoth);
      layers[i].reset();
    }
    Directional& answer = answers_[piece.part];
    if (wanted_.images)
      answer.images.narrow(0, piece.begin, count).copy_(d.tangent.view_as(x_of(piece)));
    if (wanted_.targets) answer.targets.narrow(0, piece.begin, count).copy_(head.targets);
    return head.loss;
  }

  at::Tensor x_of(const Piece& piece) const {
    return parts_[piece.part].part.images.narrow(0, piece.begin, piece.rows());
  }

  const ChainNetwork& network_;
  const std::vector<SweepPart>& parts_;
  const Wanted wanted_;
  std::vector<Directional> answers_;
};

}  // namespace

DualHead::DualHead(const Dual& o, const losses::Targets& rows, double share) {
  const at::Tensor values = rows.values.detach();
  const at::Tensor y = values.is_floating_point()
                           ? values
                           : at::one_hot(values.to(at::kLong), o.value.size(1)).to(o.value);
  const at::Tensor q = at::softmax(o.value, 1);
  const at::Tensor away = o.tangent - (q * o.tangent).sum(1, true);
  const at::Tensor total = y.sum(1, true);
  at::Tensor m = at::full({1, 1}, share, o.value.options());
  if (rows.weights.defined()) m = m * rows.weights.detach().unsqueeze(1);
  logits = {m * (q * total - y), m * total * q * away};
  loss = (logits.value * o.tangent).sum();
  targets = -m * away;
}

losses::Targets rows_of(const losses::Targets& targets, int64_t begin, int64_t count) {
  losses::Targets part = targets;
  part.values = targets.values.narrow(0, begin, count);
  if (targets.weights.defined()) part.weights = targets.weights.narrow(0, begin, count);
  return part;
}

std::vector<Directional> sweep(const ChainNetwork& network, const std::vector<SweepPart>& parts,
                               Wanted wanted) {
  return Sweep(network, parts, wanted).run();
}

}  // namespace retort::nets
