#include "continual/stream_learner.h"

#include <limits>

#include "core/sizes.h"

namespace retort::continual {

void Reservoir::offer(const at::Tensor& image, int64_t label, int64_t task) {
  int64_t place = offered_++;
  if (place >= capacity_) place = stream_.uniform_int(offered_);
  if (place >= capacity_) return;
  const auto i = to_size(place);
  if (i == images_.size()) {
    images_.emplace_back();
    labels_.emplace_back();
    tasks_.emplace_back();
  }
  images_[i] = image.clone();
  labels_[i] = label;
  tasks_[i] = task;
}

StreamLearner::StreamLearner(const ContinualInput& input, const TaskStream& stream,
                             const std::string& use, const StoredSets* sets, int64_t student)
    : input_(input),
      stream_(stream),
      use_(use),
      student_(student),
      optimizer_(optim::make_plain_descent()),
      reservoir_(input.options.memory, draw("continual.reservoir")) {
  trained_.theta = input.network.initial(draw("continual.initial")).to(input.device);
  if (input.network.state().size > 0)
    trained_.state = input.network.initial_state().to(input.device);
  if (sets) recalled_ = sets->recall();
  if (recalled_.targets.defined()) recalled_.targets = one_hot(recalled_.targets);
  if (!stream.kind().masked) return;
  masks_ = at::full({stream.size(), stream.data().classes()},
                    -std::numeric_limits<double>::infinity(), at::kFloat);
  for (int64_t t = 0; t < stream.size(); ++t)
    masks_[t].index_fill_(0, at::tensor(stream.task(t).classes, at::kLong), 0);
}

RandomStream StreamLearner::draw(const char* purpose, int64_t task) const {
  return {static_cast<uint64_t>(input_.options.seed), purpose,
          static_cast<uint64_t>(stream_.order()), static_cast<uint64_t>(student_),
          static_cast<uint64_t>(task)};
}

at::Tensor StreamLearner::one_hot(const at::Tensor& labels) const {
  if (labels.is_floating_point()) return labels;
  return at::one_hot(labels, stream_.data().classes()).to(at::kFloat);
}

StreamLearner::Rows StreamLearner::from_reservoir(RandomStream& draw) const {
  std::vector<at::Tensor> images;
  std::vector<int64_t> labels, tasks;
  for (const int64_t i : draw.sample(reservoir_.size(), input_.options.batch_size)) {
    images.push_back(reservoir_.image(i));
    labels.push_back(reservoir_.label(i));
    tasks.push_back(reservoir_.task(i));
  }
  return {stream_.data().preprocessing.apply(at::stack(images), input_.device),
          one_hot(at::tensor(labels, at::kLong)).to(input_.device), at::tensor(tasks, at::kLong)};
}

StreamLearner::Rows StreamLearner::from_sets(int64_t task, RandomStream& draw) const {
  const int64_t earlier = recalled_.tasks.lt(task).sum().item<int64_t>();
  const at::Tensor rows = at::tensor(draw.sample(earlier, input_.options.batch_size), at::kLong);
  const at::Tensor there = rows.to(input_.device);
  return {recalled_.images.index_select(0, there), recalled_.targets.index_select(0, there),
          recalled_.tasks.index_select(0, rows)};
}

StreamLearner::Rows StreamLearner::remembered(int64_t task, RandomStream& draw) const {
  if (use_ == "replay" && reservoir_.size() > 0) return from_reservoir(draw);
  if (use_ == "rehearsal" && task > 0) return from_sets(task, draw);
  return {};
}

bool StreamLearner::learn(int64_t task) {
  const data::Dataset samples = stream_.arrive(task);
  const at::Tensor classes = at::tensor(stream_.task(task).classes, at::kLong);
  const std::vector<int64_t> order =
      draw("continual.order", task).permutation(samples.train.size());
  RandomStream memory = draw("continual.memory", task);
  const ContinualOptions& options = input_.options;
  for (size_t begin = 0; begin < order.size(); begin += to_size(options.batch_size)) {
    if (input_.stop && input_.stop->requested()) return false;
    const size_t end = std::min(order.size(), begin + to_size(options.batch_size));
    const at::Tensor rows =
        at::tensor(std::vector<int64_t>(order.begin() + static_cast<std::ptrdiff_t>(begin),
                                        order.begin() + static_cast<std::ptrdiff_t>(end)),
                   at::kLong);
    const at::Tensor bytes = samples.train.images.index_select(0, rows);
    const at::Tensor labels = classes.index_select(0, samples.train.labels.index_select(0, rows));
    const Rows batch{samples.preprocessing.apply(bytes, input_.device),
                     one_hot(labels).to(input_.device), at::full_like(labels, task)};
    for (int64_t glance = 0; glance < options.glances; ++glance) {
      const Rows past = remembered(task, memory);
      step(past.images.defined()
               ? Rows{at::cat({batch.images, past.images}), at::cat({batch.targets, past.targets}),
                      at::cat({batch.tasks, past.tasks})}
               : batch);
    }
    if (use_ == "replay")
      for (int64_t i = 0; i < bytes.size(0); ++i)
        reservoir_.offer(bytes[i], labels[i].item<int64_t>(), task);
  }
  return true;
}

/// Cross-entropy on the logits that the rows' tasks leave unmasked; its cotangent is softmax minus
/// target.
void StreamLearner::step(const Rows& rows) {
  const nets::Observation seen = input_.network.observe(
      {trained_.theta, trained_.state, rows.images, {}, nets::NormMode::kUpdating}, {"logits"},
      {.theta = true});
  at::Tensor logits = seen.taps.at("logits");
  if (masks_.defined()) logits = logits + masks_.index_select(0, rows.tasks).to(logits.device());
  const at::Tensor cotangent = (logits.softmax(1) * rows.targets.sum(1, true) - rows.targets) /
                               static_cast<double>(rows.images.size(0));
  const nets::Vjp vjp = seen.pullback({{"logits", cotangent}});
  optimizer_->step(trained_.theta, vjp.theta, input_.options.learning_rate);
  if (trained_.state.defined()) trained_.state = seen.state;
}

}  // namespace retort::continual
