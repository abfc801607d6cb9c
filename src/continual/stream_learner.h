// One pass over a stream of tasks, batch by batch, beside what is remembered of earlier tasks.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "continual/continual.h"
#include "continual/stored_sets.h"
#include "core/sizes.h"
#include "optim/optimizer.h"
#include "retort/core/random.h"

namespace retort::continual {

/// Real images kept by reservoir sampling (Vitter 1985): each of the samples so far is kept with
/// the same probability.
class Reservoir {
 public:
  Reservoir(int64_t capacity, RandomStream stream) : capacity_(capacity), stream_(stream) {}
  /// Offers the next sample of the stream: bytes [C, H, W].
  void offer(const at::Tensor& image, int64_t label, int64_t task);
  int64_t size() const { return std::ssize(images_); }
  const at::Tensor& image(int64_t i) const { return images_.at(to_size(i)); }
  int64_t label(int64_t i) const { return labels_.at(to_size(i)); }
  int64_t task(int64_t i) const { return tasks_.at(to_size(i)); }

 private:
  int64_t capacity_, offered_ = 0;
  RandomStream stream_;
  std::vector<at::Tensor> images_;
  std::vector<int64_t> labels_, tasks_;
};

/// A network that learns the tasks of a stream in order, seeing every sample once.
class StreamLearner {
 public:
  /// `sets` may be null; they are rehearsed where the use is "rehearsal".
  StreamLearner(const ContinualInput& input, const TaskStream& stream, const std::string& use,
                const StoredSets* sets, int64_t student);

  /// Learns the next task; false where it was asked to stop.
  bool learn(int64_t task);
  /// Learning changes it in place: clone what is to be kept.
  const train::ModelState& network() const { return trained_; }

 private:
  /// Rows of the stream or of the memory, ready to learn from.
  struct Rows {
    at::Tensor images;   // [N, C, H, W]
    at::Tensor targets;  // [N, K], probabilities
    at::Tensor tasks;    // int64 [N], CPU
  };
  Rows remembered(int64_t task, RandomStream& draw) const;
  Rows from_reservoir(RandomStream& draw) const;
  Rows from_sets(int64_t task, RandomStream& draw) const;
  void step(const Rows& rows);
  at::Tensor one_hot(const at::Tensor& labels) const;
  RandomStream draw(const char* purpose, int64_t task = 0) const;

  const ContinualInput& input_;
  const TaskStream& stream_;
  const std::string use_;
  const int64_t student_;
  train::ModelState trained_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  Reservoir reservoir_;
  Recalled recalled_;
  at::Tensor masks_;  // [T, K]: 0 for the task's classes, else minus infinity; undefined: none
};

}  // namespace retort::continual
