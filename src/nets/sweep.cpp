// Deals rows out, runs the layers forward and back, and meets them at the loss.
#include "nets/sweep.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <optional>

#include "core/deal.h"
#include "nets/dual_layers.h"
#include "retort/core/device.h"

namespace retort::nets {
namespace {

/// Rows begin..end-1 of a part: what one thread takes at a time.
struct Piece {
  size_t part;
  int64_t begin, end;
};

/// What a piece adds to its part.
struct Sum {
  at::Tensor loss, theta;
};

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
    const std::vector<Piece> pieces = cut_rows();
    const auto count = static_cast<int64_t>(pieces.size());
    const int64_t wave = std::max<int64_t>(at::get_num_threads(), 1);  // sums alive at once
    for (int64_t first = 0; first < count; first += wave) {
      std::vector<Sum> sums(static_cast<size_t>(std::min(wave, count - first)));
      const auto work = [&](int64_t i) {
        std::optional<AloneScope> alone;
        if (count > 1) alone.emplace();
        sums[static_cast<size_t>(i)] = one(pieces[static_cast<size_t>(first + i)]);
      };
      if (count == 1)
        work(0);
      else
        deal_out(static_cast<int64_t>(sums.size()), work);
      for (size_t i = 0; i < sums.size(); ++i) {
        Directional& answer = answers_[pieces[static_cast<size_t>(first) + i].part];
        answer.loss.add_(sums[i].loss);
        answer.theta.add_(sums[i].theta);
      }
    }
    return std::move(answers_);
  }

 private:
  /// Pieces of a bounded number of rows, as many for every thread. The cut depends on sizes,
  /// threads and the memory limit only.
  std::vector<Piece> cut_rows() const {
    const int64_t most = network_.rows;
    std::vector<Piece> pieces;
    for (size_t p = 0; p < parts_.size(); ++p) {
      const Part& part = parts_[p].part;
      const int64_t rows = part.images.size(0);
      int64_t size = rows;
      if (part.images.device().is_cpu() && !couples(network_.state, part)) {
        const int64_t threads = parts_.size() > 1 ? 1 : at::get_num_threads();
        const int64_t rounds = (rows + threads * most - 1) / (threads * most);
        size = (rows + threads * rounds - 1) / (threads * rounds);
      }
      for (int64_t begin = 0; begin < rows; begin += size)
        pieces.push_back({p, begin, std::min(rows, begin + size)});
    }
    return pieces;
  }

  Sum one(const Piece& piece) {
    const at::NoGradGuard no_graph;
    const SweepPart& part = parts_[piece.part];
    const int64_t count = piece.end - piece.begin;
    const auto rows = [&](const at::Tensor& x) { return x.detach().narrow(0, piece.begin, count); };
    Sum sum;
    sum.theta = at::zeros_like(part.along);
    DualParameters p;
    p.theta = cut(network_.parameters, part.part.theta.detach());
    p.along = cut(network_.parameters, part.along.detach());
    p.product = cut(network_.parameters, sum.theta);
    p.norm = part.part.norm;
    if (network_.state.size > 0 && p.norm == NormMode::kFrozen)
      p.state = cut(network_.state, part.part.state.detach());
    auto layers = dual_layers(network_.steps, p);
    Dual x{rows(part.part.images), at::Tensor()};
    for (const auto& layer : layers) x = layer->forward(x);
    const double share = 1.0 / static_cast<double>(part.part.images.size(0));
    const DualHead head(x, rows_of(part.targets, piece.begin, count), share);
    sum.loss = head.loss;
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
    return sum;
  }

  at::Tensor x_of(const Piece& piece) const {
    return parts_[piece.part].part.images.narrow(0, piece.begin, piece.end - piece.begin);
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
