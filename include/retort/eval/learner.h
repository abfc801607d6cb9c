// Students that are no Network of ours, such as a module of PyTorch: how one is trained is somebody
// else's, what it sees and how it is judged is ours.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "retort/train/trainer.h"

namespace retort::eval {

/// Logits [N, K] of network input [N, C, H, W], as of a network in use: running statistics, no
/// graph.
using Predict = std::function<at::Tensor(const at::Tensor& images)>;

/// One student's training under a protocol: what it sees, batch by batch, and at which rate. Valid
/// while the student is trained.
struct Lesson {
  std::string network, subject;  ///< the student's kind, and what it is trained on
  int64_t student = 0;           ///< from 0: its number among those of its kind
  uint64_t seed = 0;             ///< of its initial parameters: of the number alone
  train::TrainOptions training;  ///< names its optimizer, and says its momentum, decays and average
  int64_t epochs = 0;            ///< passes, those that the protocol counts from 0 included
  int64_t batches = 0;           ///< in each
  at::Device device = at::kCPU;
  std::function<train::LabelledBatch(int64_t epoch, int64_t batch)> batch;
  std::function<double(int64_t epoch, int64_t batch)> rate;
  std::function<bool(int64_t epoch)> resets;  ///< the optimizer is made anew before this epoch
  /// To be told of every epoch (from 0), with the mean loss of its rows and how to ask the student
  /// as it is. False: a stop was asked for. StateError where the loss is not finite.
  std::function<bool(int64_t epoch, double loss, const Predict& now)> done;
};

/// A trained student.
struct Learned {
  Predict predict;
  Predict average = {};  ///< with the moving average of its parameters; empty where there is none
};

/// A kind of students: called for each of them, one after the other.
struct Learner {
  std::string name;  ///< what tables and records call it
  std::function<Learned(const Lesson&)> train;
};

}  // namespace retort::eval
