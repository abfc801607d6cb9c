#include "nets/blocked_engine.h"

#include <ATen/Parallel.h>
#include <dnnl.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/deal.h"
#include "retort/core/device.h"

namespace retort::nets {
namespace {

/// Rows begin..end-1 of a part.
struct Piece {
  size_t part;
  int64_t begin, end;
  int64_t rows() const { return end - begin; }
};

/// Pieces, and the runs of them that one thread takes: task t has pieces edges[t]..edges[t + 1]
/// - 1.
struct Deal {
  std::vector<Piece> pieces;
  std::vector<size_t> edges{0};
  int64_t tasks() const { return static_cast<int64_t>(edges.size()) - 1; }
};

/// Depends on sizes and the number of threads only. A single part is cut so that every thread has
/// as many rows.
Deal deal(const std::vector<int64_t>& sizes, int64_t most) {
  const int64_t threads = std::max(1, at::get_num_threads());
  Deal all;
  int64_t total = 0;
  for (size_t p = 0; p < sizes.size(); ++p) {
    const int64_t share = sizes.size() > 1 ? 1 : threads;
    const int64_t rounds = (sizes[p] + share * most - 1) / (share * most);
    const int64_t size = (sizes[p] + share * rounds - 1) / (share * rounds);
    for (int64_t begin = 0; begin < sizes[p]; begin += size)
      all.pieces.push_back({p, begin, std::min(sizes[p], begin + size)});
    total += sizes[p];
  }
  int64_t done = 0, task = 1;
  for (size_t i = 0; i < all.pieces.size(); ++i) {
    done += all.pieces[i].rows();
    if (done * threads < task * total && i + 1 < all.pieces.size()) continue;
    all.edges.push_back(i + 1);
    task = done * threads / total + 1;
  }
  return all;
}

/// Calls work(task) on the threads, each of which is told that it works alone.
template <class Work>
void in_tasks(int64_t count, const Work& work) {
  const auto alone = [&](int64_t task) {
    const AloneScope scope;
    const at::NoGradGuard no_graph;
    work(task);
  };
  if (count == 1) return alone(0);
  deal_out(count, alone);
}

/// row-major c [m, n] (+)= a b, transposed as asked; a single thread inside an AloneScope.
void multiply(char transpose_a, char transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
              const float* b, float beta, float* c) {
  const int64_t lda = transpose_a == 'N' ? k : m, ldb = transpose_b == 'N' ? n : k;
  dnnl_sgemm(transpose_a, transpose_b, m, n, k, 1.0f, a, lda, b, ldb, beta, c, n);
}

const float* floats(const at::Tensor& x) {
  return x.data_ptr<float>();
}

/// Logits of features: f W^T + c.
at::Tensor head(const BlockedNetwork& network, const float* theta, const float* features,
                int64_t rows) {
  at::Tensor logits = at::empty({rows, network.classes});
  float* out = logits.data_ptr<float>();
  for (int64_t n = 0; n < rows; ++n)
    std::copy_n(theta + network.head_bias, network.classes, out + n * network.classes);
  multiply('N', 'T', rows, network.classes, network.features, features, theta + network.head_weight,
           1, out);
  return logits;
}

/// Adds the head's parameters' cotangents: do^T f and the sums of do.
void head_parameters(const BlockedNetwork& network, const float* dlogits, const float* features,
                     int64_t rows, float* dtheta) {
  multiply('T', 'N', network.classes, network.features, rows, dlogits, features, 1,
           dtheta + network.head_weight);
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t k = 0; k < network.classes; ++k)
      dtheta[network.head_bias + k] += dlogits[n * network.classes + k];
}

/// Sums of parts: the first task of a part adds into the answer itself, later ones into their own.
class ThetaSums {
 public:
  ThetaSums(const Deal& dealt, size_t parts, int64_t size) : answers_(parts) {
    for (int64_t t = 0; t < dealt.tasks(); ++t) {
      const auto task = static_cast<size_t>(t);
      for (size_t i = dealt.edges[task]; i < dealt.edges[task + 1]; ++i) {
        const size_t part = dealt.pieces[i].part;
        if (!own_.empty() && own_.back().task == task && own_.back().part == part) continue;
        own_.push_back({task, part, at::zeros({size})});
      }
    }
  }
  float* of(int64_t task, size_t part) const {
    for (const Own& own : own_)
      if (own.task == static_cast<size_t>(task) && own.part == part)
        return own.sum.data_ptr<float>();
    throw std::logic_error("a piece without a sum");
  }
  /// In the order of tasks.
  std::vector<at::Tensor> take() {
    for (Own& own : own_) {
      at::Tensor& answer = answers_[own.part];
      if (answer.defined())
        answer.add_(own.sum);
      else
        answer = own.sum;
    }
    return std::move(answers_);
  }

 private:
  struct Own {
    size_t task, part;
    at::Tensor sum;
  };
  std::vector<Own> own_;
  std::vector<at::Tensor> answers_;
};

/// A part's contiguous tensors, kept while pieces point into them.
struct Held {
  at::Tensor theta, images, along;
  const float* image(const Piece& piece) const {
    return floats(images) + piece.begin * (images.numel() / images.size(0));
  }
};

Held held(const Part& part, const at::Tensor& along = {}) {
  return {part.theta.detach().contiguous(), part.images.detach().contiguous(),
          along.defined() ? along.detach().contiguous() : along};
}

at::Tensor blob(const float* data, int64_t rows, int64_t columns) {
  return at::from_blob(const_cast<float*>(data), {rows, columns});
}

/// The loss of a piece as its share of the part's mean, its logits' cotangent and its targets'.
struct HeadLoss {
  at::Tensor loss, logits, targets;
};

HeadLoss head_loss(const at::Tensor& logits, losses::Targets targets, double share, bool wanted) {
  const at::AutoGradMode recording(true);
  const at::Tensor leaf = logits.detach().set_requires_grad(true);
  targets.values = targets.values.detach();
  if (wanted) targets.values.set_requires_grad(true);
  const at::Tensor loss = losses::mean_loss(leaf, targets) * share;
  std::vector<at::Tensor> inputs{leaf};
  if (wanted) inputs.push_back(targets.values);
  const auto found = torch::autograd::grad({loss}, inputs);
  return {loss.detach(), found[0].contiguous(), wanted ? found[1] : at::Tensor()};
}

at::Tensor total(const std::vector<at::Tensor>& losses, const Deal& dealt, size_t part) {
  at::Tensor sum = at::zeros({});
  for (size_t i = 0; i < losses.size(); ++i)
    if (dealt.pieces[i].part == part) sum.add_(losses[i]);
  return sum;
}

std::vector<int64_t> sizes_of(const auto& parts) {
  std::vector<int64_t> sizes;
  for (const auto& one : parts) sizes.push_back(one.part.images.size(0));
  return sizes;
}

}  // namespace

ArenaPool::Lease::~Lease() {
  if (!arena_) return;
  arena_->reset();
  const std::lock_guard<std::mutex> guard(pool_->mutex_);
  pool_->free_.push_back(std::move(arena_));
}

ArenaPool::Lease ArenaPool::lease() {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (free_.empty()) return {*this, std::make_unique<Arena>()};
  std::unique_ptr<Arena> arena = std::move(free_.back());
  free_.pop_back();
  return {*this, std::move(arena)};
}

/// The packed weights of a call: one for every theta that its parts have.
struct BlockedEngine::Weights {
  Weights(BlockedEngine& engine) : engine(engine), lease(engine.arenas_.lease()) {}

  /// The packed weights of `theta`, ready for `needs`.
  const PackedWeights& of(const float* theta, const PassNeeds& needs) {
    const AloneScope alone;
    auto known = std::find_if(packed.begin(), packed.end(),
                              [&](const auto& one) { return one->theta() == theta; });
    if (known == packed.end())
      known = packed.insert(known, std::make_unique<PackedWeights>(engine.network_, theta));
    prepare({engine.network_, engine.plans_, *lease}, needs, **known);
    return **known;
  }

  BlockedEngine& engine;
  ArenaPool::Lease lease;
  std::vector<std::unique_ptr<PackedWeights>> packed;
};

std::shared_ptr<BlockedEngine> BlockedEngine::fit(const std::vector<Step>& steps,
                                                  const Layout& parameters, const Shape& shape) {
  const int64_t block = channel_block();
  if (block == 0 || steps.size() < 3 || steps.size() % 2 == 0) return nullptr;
  if (steps.back().kind != Step::Kind::kLinear || shape.channels > 4) return nullptr;
  BlockedNetwork network;
  int64_t channels = shape.channels, height = shape.height, width = shape.width;
  for (size_t i = 0; i + 1 < steps.size(); i += 2) {
    const Convolution& conv = steps[i].conv;
    const Tail& tail = steps[i + 1].tail;
    if (steps[i].kind != Step::Kind::kConv || steps[i + 1].kind != Step::Kind::kTail ||
        tail.norm != NormKind::kInstance || tail.activation != Activation::kRelu ||
        tail.pool != Pool::kAverage || conv.stride != 1 || conv.out % block != 0)
      return nullptr;
    BlockedLayer layer{channels, conv.out, height, width, conv.kernel, conv.padding};
    layer.map_height = height + 2 * conv.padding - conv.kernel + 1;
    layer.map_width = width + 2 * conv.padding - conv.kernel + 1;
    if (layer.map_height % 2 != 0 || layer.map_width % 2 != 0) return nullptr;
    layer.weight = parameters.slots[steps[i].slot].offset;
    layer.gain = parameters.slots[steps[i + 1].slot].offset;
    layer.shift = parameters.slots[steps[i + 1].slot + 1].offset;
    network.layers.push_back(layer);
    channels = conv.out, height = layer.map_height / 2, width = layer.map_width / 2;
  }
  const size_t head = steps.back().slot;
  network.features = channels * height * width;
  network.classes = shape.classes;
  network.head_weight = parameters.slots[head].offset;
  network.head_bias = parameters.slots[head + 1].offset;
  network.parameters = parameters.size;
  return std::shared_ptr<BlockedEngine>(new BlockedEngine(std::move(network)));
}

bool BlockedEngine::takes(const Part& part) {
  return part.images.device().is_cpu() && part.images.scalar_type() == at::kFloat &&
         part.theta.scalar_type() == at::kFloat && part.images.size(0) > 0;
}

std::vector<Gradient> BlockedEngine::gradient(const std::vector<GradientPart>& parts, Wanted wanted,
                                              int64_t rows) {
  const Deal dealt = deal(sizes_of(parts), rows);
  std::vector<Held> kept;
  std::vector<Gradient> answers(parts.size());
  for (size_t p = 0; p < parts.size(); ++p) {
    TORCH_CHECK(!wanted.targets || parts[p].targets.values.is_floating_point(),
                "classes have no derivative");
    kept.push_back(held(parts[p].part));
    answers[p].logits = at::empty({kept[p].images.size(0), network_.classes});
    if (wanted.images) answers[p].images = at::empty_like(kept[p].images);
    if (wanted.targets) answers[p].targets = at::empty_like(parts[p].targets.values);
    answers[p].state = parts[p].part.state;
  }
  Weights weights(*this);
  std::vector<const PackedWeights*> packed;
  for (const Piece& piece : dealt.pieces)
    packed.push_back(
        &weights.of(floats(kept[piece.part].theta), {piece.rows(), true, wanted.images, false}));
  ThetaSums sums(dealt, parts.size(), network_.parameters);
  std::vector<at::Tensor> losses(dealt.pieces.size());
  const auto one = [&](size_t i, float* dtheta) {
    const Piece& piece = dealt.pieces[i];
    const GradientPart& part = parts[piece.part];
    Gradient& answer = answers[piece.part];
    const Held& own = kept[piece.part];
    const float* theta = floats(own.theta);
    const int64_t count = piece.rows();
    ArenaPool::Lease arena = arenas_.lease();
    BlockedPass pass({network_, plans_, *arena}, *packed[i], count, true);
    const float* features = pass.forward(own.image(piece));
    const at::Tensor logits = head(network_, theta, features, count);
    const double share = static_cast<double>(count) / static_cast<double>(own.images.size(0));
    const HeadLoss loss =
        head_loss(logits, rows_of(part.targets, piece.begin, count), share, wanted.targets);
    const float* dlogits = floats(loss.logits);
    head_parameters(network_, dlogits, features, count, dtheta);
    float* dfeatures = (*arena).take(count * network_.features);
    multiply('N', 'N', count, network_.features, network_.classes, dlogits,
             theta + network_.head_weight, 0, dfeatures);
    const int64_t size = own.images.numel() / own.images.size(0);
    pass.backward(
        dfeatures,
        {dtheta, wanted.images ? answer.images.data_ptr<float>() + piece.begin * size : nullptr});
    answer.logits.narrow(0, piece.begin, count).copy_(logits);
    if (wanted.targets) answer.targets.narrow(0, piece.begin, count).copy_(loss.targets);
    losses[i] = loss.loss;
  };
  in_tasks(dealt.tasks(), [&](int64_t task) {
    const auto t = static_cast<size_t>(task);
    for (size_t i = dealt.edges[t]; i < dealt.edges[t + 1]; ++i)
      one(i, sums.of(task, dealt.pieces[i].part));
  });
  const std::vector<at::Tensor> thetas = sums.take();
  for (size_t p = 0; p < parts.size(); ++p) {
    answers[p].theta = thetas[p];
    answers[p].loss = total(losses, dealt, p);
  }
  return answers;
}

std::vector<Directional> BlockedEngine::directional(const std::vector<SweepPart>& parts,
                                                    Wanted wanted, int64_t rows) {
  const Deal dealt = deal(sizes_of(parts), rows);
  std::vector<Held> kept;
  std::vector<Directional> answers(parts.size());
  for (size_t p = 0; p < parts.size(); ++p) {
    TORCH_CHECK(!wanted.targets || parts[p].targets.values.is_floating_point(),
                "classes have no derivative");
    kept.push_back(held(parts[p].part, parts[p].along));
    if (wanted.images) answers[p].images = at::empty_like(kept[p].images);
    if (wanted.targets) answers[p].targets = at::empty_like(parts[p].targets.values);
  }
  Weights weights(*this);
  std::vector<const PackedWeights*> packed, packed_along;
  for (const Piece& piece : dealt.pieces) {
    const PassNeeds needs{piece.rows(), true, wanted.images, true};
    packed.push_back(&weights.of(floats(kept[piece.part].theta), needs));
    packed_along.push_back(&weights.of(floats(kept[piece.part].along), needs));
  }
  ThetaSums sums(dealt, parts.size(), network_.parameters);
  std::vector<at::Tensor> losses(dealt.pieces.size());
  const auto one = [&](size_t i, float* dtheta) {
    const Piece& piece = dealt.pieces[i];
    Directional& answer = answers[piece.part];
    const Held& own = kept[piece.part];
    const float *theta = floats(own.theta), *along = floats(own.along);
    const int64_t count = piece.rows(), wide = network_.features, classes = network_.classes;
    ArenaPool::Lease arena = arenas_.lease();
    AlongPass pass({network_, plans_, *arena}, *packed[i], *packed_along[i], count);
    const float* features = pass.forward(own.image(piece));
    const float* tangents = features + count * wide;
    // o. = W. f + W f. + c.
    Dual logits{head(network_, theta, features, count), head(network_, along, features, count)};
    multiply('N', 'T', count, classes, wide, tangents, theta + network_.head_weight, 1,
             logits.tangent.data_ptr<float>());
    const DualHead at_head(logits, rows_of(parts[piece.part].targets, piece.begin, count),
                           1.0 / static_cast<double>(own.images.size(0)));
    const at::Tensor dvalue = at_head.logits.value.contiguous(),
                     dtangent = at_head.logits.tangent.contiguous();
    // dW. = do.^T f + do^T f.;  df. = do. W + do W.
    head_parameters(network_, floats(dtangent), features, count, dtheta);
    multiply('T', 'N', classes, wide, count, floats(dvalue), tangents, 1,
             dtheta + network_.head_weight);
    float* dfeatures = (*arena).take(2 * count * wide);
    const float *w = theta + network_.head_weight, *w_along = along + network_.head_weight;
    multiply('N', 'N', count, wide, classes, floats(dvalue), w, 0, dfeatures);
    multiply('N', 'N', count, wide, classes, floats(dtangent), w, 0, dfeatures + count * wide);
    multiply('N', 'N', count, wide, classes, floats(dvalue), w_along, 1, dfeatures + count * wide);
    const int64_t size = own.images.numel() / own.images.size(0);
    pass.backward(
        dfeatures,
        {dtheta, wanted.images ? answer.images.data_ptr<float>() + piece.begin * size : nullptr});
    if (wanted.targets) answer.targets.narrow(0, piece.begin, count).copy_(at_head.targets);
    losses[i] = at_head.loss;
  };
  in_tasks(dealt.tasks(), [&](int64_t task) {
    const auto t = static_cast<size_t>(task);
    for (size_t i = dealt.edges[t]; i < dealt.edges[t + 1]; ++i)
      one(i, sums.of(task, dealt.pieces[i].part));
  });
  const std::vector<at::Tensor> thetas = sums.take();
  for (size_t p = 0; p < parts.size(); ++p) {
    answers[p].theta = thetas[p];
    answers[p].loss = total(losses, dealt, p);
  }
  return answers;
}

bool blocked_taps(const std::vector<std::string>& taps) {
  return std::all_of(taps.begin(), taps.end(),
                     [](const std::string& tap) { return tap == "features" || tap == "logits"; });
}

/// What an observation keeps for its way back: a pass with its memory for every piece.
struct BlockedEngine::Seen {
  Seen(BlockedEngine& engine, const Part& part, Deal dealt)
      : own(held(part)), dealt(std::move(dealt)), weights(engine) {}
  Held own;
  Deal dealt;
  Weights weights;
  std::vector<const PackedWeights*> packed;
  std::vector<std::optional<ArenaPool::Lease>> arenas;
  std::vector<std::unique_ptr<BlockedPass>> passes;
  at::Tensor features;
};

Observation BlockedEngine::observe(const Part& part, const std::vector<std::string>& taps,
                                   Back back, int64_t rows) {
  const bool keep = back.images || back.theta;
  const int64_t count = part.images.size(0);
  auto seen = std::make_shared<Seen>(*this, part, deal({count}, rows));
  const auto& pieces = seen->dealt.pieces;
  for (const Piece& piece : pieces)
    seen->packed.push_back(
        &seen->weights.of(floats(seen->own.theta), {piece.rows(), keep, back.images, false}));
  seen->arenas.resize(pieces.size());
  seen->passes.resize(pieces.size());
  seen->features = at::empty({count, network_.features});
  at::Tensor logits;
  const bool wants_logits = std::find(taps.begin(), taps.end(), "logits") != taps.end();
  if (wants_logits) logits = at::empty({count, network_.classes});
  const auto one = [&](size_t i) {
    const Piece& piece = pieces[i];
    ArenaPool::Lease arena = arenas_.lease();
    auto pass = std::make_unique<BlockedPass>(PassTools{network_, plans_, *arena}, *seen->packed[i],
                                              piece.rows(), keep);
    const float* features = pass->forward(seen->own.image(piece));
    std::copy_n(features, piece.rows() * network_.features,
                seen->features.data_ptr<float>() + piece.begin * network_.features);
    if (wants_logits)
      logits.narrow(0, piece.begin, piece.rows())
          .copy_(head(network_, floats(seen->own.theta), features, piece.rows()));
    if (!keep) return;
    seen->arenas[i].emplace(std::move(arena));
    seen->passes[i] = std::move(pass);
  };
  in_tasks(seen->dealt.tasks(), [&](int64_t task) {
    const auto t = static_cast<size_t>(task);
    for (size_t i = seen->dealt.edges[t]; i < seen->dealt.edges[t + 1]; ++i) one(i);
  });
  Observation answer;
  for (const std::string& tap : taps) answer.taps[tap] = tap == "logits" ? logits : seen->features;
  answer.state = part.state;
  if (!keep) return answer;
  answer.pullback = [this, seen, back](const std::map<std::string, at::Tensor>& cotangents) {
    TORCH_CHECK(!seen->passes.empty(), "an observation is pulled back once");
    const Held& own = seen->own;
    const int64_t all = own.images.size(0);
    at::Tensor dfeatures = at::zeros({all, network_.features}), dlogits;
    for (const auto& [name, value] : cotangents)
      if (name == "features")
        dfeatures.add_(value.detach());
      else
        dlogits = value.detach().to(at::kFloat).contiguous();
    Pulled pulled;
    if (back.images) pulled.images = at::empty_like(own.images);
    ThetaSums sums(seen->dealt, 1, back.theta ? network_.parameters : 0);
    const auto& edges = seen->dealt.edges;
    const float* w = floats(own.theta) + network_.head_weight;
    in_tasks(seen->dealt.tasks(), [&](int64_t task) {
      const auto t = static_cast<size_t>(task);
      for (size_t i = edges[t]; i < edges[t + 1]; ++i) {
        const Piece& piece = seen->dealt.pieces[i];
        const int64_t begin = piece.begin, count = piece.rows();
        float* df = dfeatures.data_ptr<float>() + begin * network_.features;
        float* dtheta = back.theta ? sums.of(task, 0) : nullptr;
        if (dlogits.defined()) {
          const float* dl = floats(dlogits) + begin * network_.classes;
          multiply('N', 'N', count, network_.features, network_.classes, dl, w, 1, df);
          if (dtheta)
            head_parameters(network_, dl, floats(seen->features) + begin * network_.features, count,
                            dtheta);
        }
        const int64_t size = own.images.numel() / all;
        seen->passes[i]->backward(
            df, {dtheta, back.images ? pulled.images.data_ptr<float>() + begin * size : nullptr});
        seen->passes[i].reset();
        seen->arenas[i].reset();
      }
    });
    if (back.theta) pulled.theta = sums.take()[0];
    seen->passes.clear();
    return pulled;
  };
  return answer;
}

}  // namespace retort::nets
