// Gradient matching: what DC and DSA share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "augment/siamese.h"
#include "losses/gradient_distance.h"
#include "retort/data/class_sampler.h"
#include "retort/methods/method.h"

namespace retort::methods::gradient {

struct Options {
  int64_t real_batch = 256;
  int64_t outer_loop = 0;
  int64_t inner_loop = 0;
  double student_learning_rate = 0.01;
  std::string distance = "ours";
  std::string batchnorm_calibration = "reference";
  /// DSA: one siamese draw for every class and step, and training with augmentation. Not declared.
  bool augmented = false;

  void declare(OptionSet& set);
};

/// Sizes of the two loops inside an iteration.
struct Loops {
  int64_t outer = 1;  ///< matching steps along one network's training
  int64_t inner = 1;  ///< epochs over the synthetic set between two of them
};

/// The published sizes for 1, 10, 20, 30, 40 and 50 images per class. Between them as many matching
/// steps as images and epochs interpolated; below 10 the epochs of 10; above 50 the sizes of 50.
Loops published_loops(int64_t images_per_class);

/// What one pass may hold; results do not depend on it but for rounding.
struct Bounds {
  int64_t rows = 512;                   ///< images of whole classes
  int64_t gradient = int64_t{1} << 21;  ///< numbers of classes' gradients side by side
  int64_t kept = int64_t{32} << 20;     ///< bytes that a gradient may leave for its product
};

/// The network that an iteration trains and matches.
struct Student {
  at::Tensor theta;  ///< [P]
  at::Tensor state;  ///< [S]
};

/// Where an iteration is: the keys of its draws.
struct Place {
  uint64_t seed = 0, iteration = 0, step = 0;
};

/// Trains `student` on the synthetic set: SGD in shuffled batches of 256, the last partial one
/// kept; `strategy` picks one operation a batch, with parameters per image.
void train_inner(const nets::Network& network, const SyntheticSet& set,
                 const augment::Strategy& strategy, int64_t epochs, double learning_rate,
                 const Place& place, Student& student);

/// New running statistics from batches of real images. The published way moves the student's a
/// tenth of the way to each batch's; the proper one takes the mean of the batches' own.
at::Tensor calibrated_state(const nets::Network& network, const Student& student,
                            const std::vector<at::Tensor>& batches, bool proper);

/// Sum over classes of the distance between the gradients of real and of synthetic images at a
/// network drawn anew every iteration. Computes in the precision of the images it is given.
class GradientMatching : public Objective {
 public:
  GradientMatching(const Context& context, const Options& options, const Bounds& bounds = {});
  void begin(int64_t iteration, const SyntheticSet& set) override;
  /// Before every matching step but the first, the network is trained on the set as it comes in.
  Cotangents evaluate(const SyntheticSet& set, int64_t step) override;
  int64_t steps() const override { return loops_.outer; }

 private:
  at::Tensor match(const SyntheticSet& set, int64_t first, int64_t last,
                   at::Tensor& cotangents) const;
  at::Tensor real_gradients(int64_t first, int64_t last) const;
  at::Tensor real_images(int64_t c, int64_t count, const char* purpose) const;
  at::Tensor augmented_real(int64_t c) const;
  /// [n, 16]; undefined without augmentation.
  at::Tensor rows_of(const std::vector<int64_t>& offsets, int64_t first) const;
  int64_t end_of_group(int64_t first, int64_t end, const SyntheticSet& set) const;
  /// Brings the network to a matching step.
  void go_on(const SyntheticSet& set, int64_t step);
  void calibrate();

  const Context context_;
  const Options options_;
  const Bounds bounds_;
  const data::ClassSampler real_;
  const losses::GradientMetric metric_;
  augment::Strategy strategy_;  // empty: no augmentation
  Loops loops_;
  std::vector<losses::GradientSpan> spans_;
  Place place_;
  int64_t reached_ = -1;  // the step that the network is at; -1: the iteration has just begun
  Student student_;
  at::Tensor rows_;  // [K, 16]: the augmentation of every class in this step
};

}  // namespace retort::methods::gradient
