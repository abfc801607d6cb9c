#include "nets/onednn/engine.h"

#include <algorithm>
#include <optional>

#include "nets/onednn/head.h"
#include "nets/onednn/tangent_pass.h"
#include "nets/row_lanes.h"

namespace retort::nets {
namespace {

const float* floats(const at::Tensor& x) {
  return x.data_ptr<float>();
}

/// A part's contiguous tensors, kept while pieces point into them.
struct Held {
  Held(const Part& part, const at::Tensor& direction = {})
      : theta(part.theta.detach().contiguous()), images(part.images.detach().contiguous()) {
    if (direction.defined()) along = direction.detach().contiguous();
  }
  int64_t rows() const { return images.size(0); }
  int64_t offset(const Piece& piece) const { return piece.begin * (images.numel() / rows()); }
  const float* image(const Piece& piece) const { return floats(images) + offset(piece); }

  at::Tensor theta, images, along;
};

/// Where a piece's cotangents of images go; null where there are none.
float* place(const at::Tensor& images, const Held& held, const Piece& piece) {
  return images.defined() ? images.data_ptr<float>() + held.offset(piece) : nullptr;
}

std::vector<int64_t> sizes_of(const auto& parts) {
  std::vector<int64_t> sizes;
  for (const auto& one : parts) sizes.push_back(one.part.images.size(0));
  return sizes;
}

void check_targets(const losses::Targets& targets, Wanted wanted) {
  TORCH_CHECK(!wanted.targets || targets.values.is_floating_point(), "classes have no derivative");
}

}  // namespace

/// The packed weights of a call: one for every theta that its parts have.
struct BlockedEngine::Weights {
  explicit Weights(BlockedEngine& its_engine)
      : engine(its_engine), lease(its_engine.arenas_.lease()) {}

  /// The packed weights of `theta`, with what `needs` asks for. Pieces hold on to them.
  const PackedWeights& of(const at::Tensor& theta, const PassNeeds& needs) {
    const AloneScope alone;
    const float* data = floats(theta);
    auto known = std::find_if(packed.begin(), packed.end(),
                              [&](const auto& one) { return one->theta() == data; });
    if (known == packed.end())
      known = packed.insert(known, std::make_unique<PackedWeights>(engine.network_, data));
    prepare({engine.network_, engine.plans_, *lease}, needs, **known);
    return **known;
  }

  /// Packs all of them, on all threads: before the first piece.
  void pack() {
    std::vector<std::pair<const PackedWeights*, size_t>> work;
    for (const auto& one : packed)
      for (size_t i = 0; i < one->planned(); ++i) work.emplace_back(one.get(), i);
    deal_out(static_cast<int64_t>(work.size()), [&](int64_t i) {
      const AloneScope alone;
      const auto& [weights, index] = work[static_cast<size_t>(i)];
      weights->pack(index, engine.plans_.engine());
    });
  }

  BlockedEngine& engine;
  ArenaPool::Lease lease;
  std::vector<std::unique_ptr<PackedWeights>> packed;
};

/// What a call over several parts has: its pieces, their weights, and the sums of the parts.
struct BlockedEngine::Frame {
  Frame(BlockedEngine& engine, Lanes its_lanes, std::vector<Held> its_parts, const PassNeeds& needs)
      : lanes(std::move(its_lanes)),
        parts(std::move(its_parts)),
        weights(engine),
        sums(lanes, parts.size(), at::empty({engine.network_.parameters})),
        losses(lanes.pieces.size()) {
    for (const Piece& piece : lanes.pieces) {
      PassNeeds own = needs;
      own.rows = piece.rows();
      packed.push_back(&weights.of(parts[piece.part].theta, own));
      if (needs.along) packed_along.push_back(&weights.of(parts[piece.part].along, own));
    }
    weights.pack();
  }

  /// Sums of all pieces, in their order, into answers that have `theta` and `loss`.
  template <class Answer>
  void finish(std::vector<Answer>& answers) {
    const std::vector<at::Tensor> thetas = sums.take();
    for (size_t p = 0; p < answers.size(); ++p) {
      answers[p].theta = thetas[p];
      answers[p].loss = at::zeros({});
    }
    for (size_t i = 0; i < losses.size(); ++i) answers[lanes.pieces[i].part].loss.add_(losses[i]);
  }

  const Lanes lanes;
  const std::vector<Held> parts;
  Weights weights;
  std::vector<const PackedWeights*> packed, packed_along;  // of every piece
  LaneSums sums;
  std::vector<at::Tensor> losses;  // of every piece
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
    BlockedLayer layer;
    layer.in = channels, layer.out = conv.out, layer.height = height, layer.width = width;
    layer.kernel = conv.kernel, layer.padding = conv.padding;
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
                                              const RowLimits& limits) {
  std::vector<Held> held;
  std::vector<Gradient> answers(parts.size());
  for (size_t p = 0; p < parts.size(); ++p) {
    check_targets(parts[p].targets, wanted);
    held.emplace_back(parts[p].part);
    answers[p].logits = at::empty({held[p].rows(), network_.classes});
    if (wanted.images) answers[p].images = at::empty_like(held[p].images);
    if (wanted.targets) answers[p].targets = at::empty_like(parts[p].targets.values);
    answers[p].state = parts[p].part.state;
  }
  Frame frame(*this, cut_rows(sizes_of(parts), limits), std::move(held),
              {0, true, wanted.images, false});
  each_piece(frame.lanes, [&](size_t i, int64_t lane) {
    const Piece& piece = frame.lanes.pieces[i];
    const Held& own = frame.parts[piece.part];
    const Gradient& answer = answers[piece.part];
    const int64_t count = piece.rows();
    float* dtheta = frame.sums.of(lane).data_ptr<float>();
    const ArenaPool::Lease arena = arenas_.lease();
    const PassTools tools{network_, plans_, *arena};
    BlockedPass pass(tools, *frame.packed[i], count, true);
    const float* features = pass.forward(own.image(piece));
    const at::Tensor logits = head(network_, floats(own.theta), features, count);
    const HeadLoss loss =
        head_loss(logits, rows_of(parts[piece.part].targets, piece.begin, count),
                  static_cast<double>(count) / static_cast<double>(own.rows()), wanted.targets);
    float* dfeatures = (*arena).take(count * network_.features);
    head_back(network_, floats(own.theta), floats(loss.logits), features, count, dtheta, dfeatures);
    pass.backward(dfeatures, {dtheta, place(answer.images, own, piece)});
    answer.logits.narrow(0, piece.begin, count).copy_(logits);
    if (wanted.targets) answer.targets.narrow(0, piece.begin, count).copy_(loss.targets);
    frame.losses[i] = loss.loss;
    frame.sums.done(i, lane);
  });
  frame.finish(answers);
  return answers;
}

std::vector<Directional> BlockedEngine::directional(const std::vector<SweepPart>& parts,
                                                    Wanted wanted, const RowLimits& limits) {
  std::vector<Held> held;
  std::vector<Directional> answers(parts.size());
  for (size_t p = 0; p < parts.size(); ++p) {
    check_targets(parts[p].targets, wanted);
    held.emplace_back(parts[p].part, parts[p].along);
    if (wanted.images) answers[p].images = at::empty_like(held[p].images);
    if (wanted.targets) answers[p].targets = at::empty_like(parts[p].targets.values);
  }
  Frame frame(*this, cut_rows(sizes_of(parts), limits), std::move(held),
              {0, true, wanted.images, true});
  each_piece(frame.lanes, [&](size_t i, int64_t lane) {
    const Piece& piece = frame.lanes.pieces[i];
    const Held& own = frame.parts[piece.part];
    const Directional& answer = answers[piece.part];
    const float *theta = floats(own.theta), *along = floats(own.along);
    const int64_t count = piece.rows();
    float* dtheta = frame.sums.of(lane).data_ptr<float>();
    const ArenaPool::Lease arena = arenas_.lease();
    const PassTools tools{network_, plans_, *arena};
    AlongPass pass(tools, *frame.packed[i], *frame.packed_along[i], count);
    const float* features = pass.forward(own.image(piece));
    DualHead found(head_along(network_, theta, along, features, count),
                   rows_of(parts[piece.part].targets, piece.begin, count),
                   1.0 / static_cast<double>(own.rows()));
    found.logits = {found.logits.value.contiguous(), found.logits.tangent.contiguous()};
    float* dfeatures = (*arena).take(2 * count * network_.features);
    head_back_along(network_, theta, along, found.logits, features, dtheta, dfeatures);
    pass.backward(dfeatures, {dtheta, place(answer.images, own, piece)});
    if (wanted.targets) answer.targets.narrow(0, piece.begin, count).copy_(found.targets);
    frame.losses[i] = found.loss;
    frame.sums.done(i, lane);
  });
  frame.finish(answers);
  return answers;
}

/// What an observation keeps for its way back: a pass with its memory for every piece.
struct BlockedEngine::Seen {
  Seen(BlockedEngine& its_engine, const Part& part, Lanes its_lanes, Back its_back)
      : engine(its_engine),
        own(part),
        lanes(std::move(its_lanes)),
        back(its_back),
        weights(its_engine),
        arenas(lanes.pieces.size()),
        passes(lanes.pieces.size()) {
    for (const Piece& piece : lanes.pieces)
      packed.push_back(
          &weights.of(own.theta, {piece.rows(), back.images || back.theta, back.images, false}));
    weights.pack();
  }

  void forward(size_t i, const at::Tensor& features, const at::Tensor& logits);
  Pulled pull(const std::map<std::string, at::Tensor>& cotangents);

  BlockedEngine& engine;
  const Held own;
  const Lanes lanes;
  const Back back;
  Weights weights;
  std::vector<const PackedWeights*> packed;
  std::vector<std::optional<ArenaPool::Lease>> arenas;
  std::vector<std::unique_ptr<BlockedPass>> passes;
  at::Tensor features;
};

/// Fills the rows of piece i of features [N, F] and, where they are defined, logits [N, K].
void BlockedEngine::Seen::forward(size_t i, const at::Tensor& all, const at::Tensor& logits) {
  const Piece& piece = lanes.pieces[i];
  const BlockedNetwork& network = engine.network_;
  const int64_t count = piece.rows();
  const bool keep = back.images || back.theta;
  ArenaPool::Lease arena = engine.arenas_.lease();
  auto pass = std::make_unique<BlockedPass>(PassTools{network, engine.plans_, *arena}, *packed[i],
                                            count, keep);
  const float* found = pass->forward(own.image(piece));
  std::copy_n(found, count * network.features,
              all.data_ptr<float>() + piece.begin * network.features);
  if (logits.defined())
    logits.narrow(0, piece.begin, count).copy_(head(network, floats(own.theta), found, count));
  if (!keep) return;
  arenas[i].emplace(std::move(arena));
  passes[i] = std::move(pass);
}

Pulled BlockedEngine::Seen::pull(const std::map<std::string, at::Tensor>& cotangents) {
  TORCH_CHECK(!passes.empty(), "an observation is pulled back once");
  const BlockedNetwork& network = engine.network_;
  at::Tensor dfeatures = at::zeros({own.rows(), network.features}), dlogits;
  for (const auto& [name, value] : cotangents)
    if (name == "features")
      dfeatures.add_(value.detach());
    else
      dlogits = value.detach().to(at::kFloat).contiguous();
  Pulled pulled;
  if (back.images) pulled.images = at::empty_like(own.images);
  LaneSums sums(lanes, 1, at::empty({back.theta ? network.parameters : 0}));
  each_piece(lanes, [&](size_t i, int64_t lane) {
    const Piece& piece = lanes.pieces[i];
    float* df = dfeatures.data_ptr<float>() + piece.begin * network.features;
    float* dtheta = back.theta ? sums.of(lane).data_ptr<float>() : nullptr;
    if (dlogits.defined())
      head_back(network, floats(own.theta), floats(dlogits) + piece.begin * network.classes,
                floats(features) + piece.begin * network.features, piece.rows(), dtheta, df, true);
    passes[i]->backward(df, {dtheta, place(pulled.images, own, piece)});
    passes[i].reset();
    arenas[i].reset();
    if (back.theta) sums.done(i, lane);
  });
  if (back.theta) pulled.theta = sums.take()[0];
  passes.clear();
  return pulled;
}

Observation BlockedEngine::observe(const Part& part, const std::vector<std::string>& taps,
                                   Back back, const RowLimits& limits) {
  const int64_t count = part.images.size(0);
  auto seen = std::make_shared<Seen>(*this, part, cut_rows({count}, limits), back);
  seen->features = at::empty({count, network_.features});
  at::Tensor logits;
  if (std::find(taps.begin(), taps.end(), "logits") != taps.end())
    logits = at::empty({count, network_.classes});
  each_piece(seen->lanes, [&](size_t i, int64_t) { seen->forward(i, seen->features, logits); });
  Observation answer;
  for (const std::string& tap : taps) answer.taps[tap] = tap == "logits" ? logits : seen->features;
  answer.state = part.state;
  if (back.images || back.theta)
    answer.pullback = [seen](const auto& cotangents) { return seen->pull(cotangents); };
  return answer;
}

bool blocked_taps(const std::vector<std::string>& taps) {
  return std::all_of(taps.begin(), taps.end(),
                     [](const std::string& tap) { return tap == "features" || tap == "logits"; });
}

}  // namespace retort::nets
